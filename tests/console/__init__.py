"""The console: what its server refuses, and what a person does on its pages in a real browser."""
