"""Packs src/ into one file that python3 runs, with the values of params.yaml in it."""
import json
import os
import pathlib
import shutil
import tempfile
import zipapp

params = {}
for line in pathlib.Path("params.yaml").read_text().splitlines():
    key, _, value = line.partition(": ")
    params[key] = value
os.makedirs("dist", exist_ok=True)
with tempfile.TemporaryDirectory() as work:
    app = pathlib.Path(work, "app")
    shutil.copytree("src", app, ignore=shutil.ignore_patterns("__pycache__"))
    (app / "greet" / "params.json").write_text(json.dumps({"greeting": params["greeting"]}))
    (app / "__main__.py").write_text("import runpy; runpy.run_module('greet', run_name='__main__')")
    zipapp.create_archive(app, "dist/greet.pyz", interpreter="/usr/bin/env python3")
