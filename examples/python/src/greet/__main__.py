import json
import pkgutil
import sys

from greet import greet

params = json.loads(pkgutil.get_data("greet", "params.json"))
print(greet(params["greeting"], *sys.argv[1:2]))
