"""The registry of assets and its graph: a library that knows no tasks and no money.

Enter it through `blobs`, `archives`, `catalog`, `graph`, `royalties` and, for reading and for
foreign keys, `models`. Nothing here imports the marketplace, the ledger or HTTP.
"""
