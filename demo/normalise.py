"""What the demo's agent does with the price list: one row per product, prices as decimals.

    python demo/normalise.py demo/supplier-prices.csv prices.csv

Writes the normalised CSV and prints the result that the task's checks look at, as JSON.
"""

import csv
import json
import re
import sys
from decimal import Decimal
from pathlib import Path

HEADER = "Art.-Nr."


def price(cell: str) -> Decimal:
    """Return a German price (`€ 1.234,50`, `12,-`) as a decimal with two places."""
    digits = re.sub(r"[^\d,.-]", "", cell).replace(".", "").replace(",-", ",00")
    return Decimal(digits.replace(",", ".")).quantize(Decimal("0.01"))


def normalise(source: Path) -> list[dict[str, str]]:
    """Return one row per product; page breaks and repeated headers are left out."""
    with source.open(encoding="utf-8", newline="") as lines:
        return [
            {
                "sku": row[0].strip(),
                "name": " ".join(row[1].split()),
                "size": "" if row[2] == "—" else row[2],
                "price": str(price(row[3])),
            }
            for row in csv.reader(lines, delimiter=";")
            if row and row[0] != HEADER
        ]


def totals(rows: list[dict[str, str]]) -> dict[str, object]:
    """Return what the poster knows of the list without having normalised it."""
    return {"rows": len(rows), "sum": str(sum(Decimal(row["price"]) for row in rows))}


if __name__ == "__main__":
    products = normalise(Path(sys.argv[1]))
    with Path(sys.argv[2]).open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=["sku", "name", "size", "price"])
        writer.writeheader()
        writer.writerows(products)
    result = {"totals": totals(products), "products": products}
    print(json.dumps(result, ensure_ascii=False))  # noqa: T201 - its output
