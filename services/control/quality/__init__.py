"""Tell how well leaders were copied: gains over time, slippage, and what filters cost."""
