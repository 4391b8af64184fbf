"""What is to be told, to whom and when: pure, with the time as an argument."""
