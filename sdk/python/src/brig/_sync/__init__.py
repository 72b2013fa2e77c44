# Made by generate.py from _async/__init__.py; change that.
"""The synchronous client. It is made by generate.py."""
