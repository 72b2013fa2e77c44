import re

# Looks harmless, and takes 2^40 steps on a line that does not match
email = re.compile(r"^([a-z0-9]+)+@example\.com$")
print(email.match("a" * 40))
