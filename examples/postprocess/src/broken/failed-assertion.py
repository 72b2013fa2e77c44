import json

debit = [100, 250, 75]
credit = [100, 250, 57]
assert sum(debit) == sum(credit), f"books do not balance: {sum(debit)} != {sum(credit)}"
json.dump({"balanced": True}, open("/work/result.json", "w"))
