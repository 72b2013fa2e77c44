import os

os.makedirs("/work/result.json/deeper")
