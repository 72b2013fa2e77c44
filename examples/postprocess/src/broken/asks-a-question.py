import json

rate = float(input("Enter the tax rate: "))  # there is nobody to answer
json.dump({"tax": 100 * rate}, open("/work/result.json", "w"))
