"""OKX v5: instruments, books, prints, orders, account. One file speaks to the network, `shell`."""
