import assert from "node:assert";
import test from "node:test";

import { greet } from "../src/greet.js";

test("greets", () => {
  assert.equal(greet("you"), "Hello, you");
  assert.equal(greet(""), "Hello, world");
});
