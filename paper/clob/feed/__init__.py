"""The makers of the paper CLOB's market: a seed, a recording, or Polymarket itself."""
