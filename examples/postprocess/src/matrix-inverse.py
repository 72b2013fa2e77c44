import json
from fractions import Fraction


def invert(matrix):
    """Gauss-Jordan elimination with exact fractions; None when singular."""
    n = len(matrix)
    a = [[Fraction(str(x)) for x in row] + [Fraction(int(i == j)) for j in range(n)] for i, row in enumerate(matrix)]
    for col in range(n):
        pivot = max(range(col, n), key=lambda r: abs(a[r][col]))
        if a[pivot][col] == 0:
            return None
        a[col], a[pivot] = a[pivot], a[col]
        p = a[col][col]
        a[col] = [x / p for x in a[col]]
        for r in range(n):
            if r != col and a[r][col] != 0:
                factor = a[r][col]
                a[r] = [x - factor * y for x, y in zip(a[r], a[col])]
    return [row[n:] for row in a]


def determinant(matrix):
    if len(matrix) == 1:
        return Fraction(str(matrix[0][0]))
    total = Fraction(0)
    for j, x in enumerate(matrix[0]):
        minor = [row[:j] + row[j + 1:] for row in matrix[1:]]
        total += (-1) ** j * Fraction(str(x)) * determinant(minor)
    return total


with open("/work/input.json") as f:
    m = json.load(f)

inverse = invert(m)
result = {"determinant": str(determinant(m)), "singular": inverse is None}
if inverse is not None:
    result["inverse"] = [[str(x) for x in row] for row in inverse]
    # sanity check: M * M^-1 == I
    n = len(m)
    product = [[sum(Fraction(str(m[i][k])) * inverse[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    assert all(product[i][j] == int(i == j) for i in range(n) for j in range(n))

with open("/work/result.json", "w") as f:
    json.dump(result, f)
