"""What a subscription has brought: sums that are kept, and what is held at the newest books."""
