def greet(greeting, name="world"):
    return f"{greeting}, {name}"
