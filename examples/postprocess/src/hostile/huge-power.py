# One bytecode that never comes back to the interpreter
print(9 ** 9 ** 9)
