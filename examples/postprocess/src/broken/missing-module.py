import pandas as pd

df = pd.read_csv("/work/data.csv")
df.groupby("region")["sales"].sum().to_json("/work/result.json")
