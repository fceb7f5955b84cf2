// Writes the site to dist/: each script under a name with a part of its hash in it, so that
// browsers may keep it for ever. A bundler would do the same.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
const code = readFileSync("src/greet.js");
const name = `greet-${createHash("sha256").update(code).digest("hex").slice(0, 8)}.js`;
cpSync("src/greet.js", `dist/${name}`);
writeFileSync("dist/index.html", readFileSync("src/index.html", "utf8").replace("greet.js", name));
