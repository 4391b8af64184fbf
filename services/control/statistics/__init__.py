"""Tell a subscription's result: kept sums, and holdings at the newest books."""
