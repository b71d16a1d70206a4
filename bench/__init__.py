"""How fast spends are, as ratios to what the same PostgreSQL does at the least in the same run.

`python -m bench` takes minutes, `python -m bench.scale` is long. Both start private servers in a temporary folder.
"""
