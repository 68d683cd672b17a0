"""The rules of the market as plain Python, without a database: what the product is compared with.

Written from the rules, not from the product: it knows none of its modules. `things` are the rows,
`market` is what happens to money, time and standing, `moves` and `cases` are what people do.
"""
