"""The MCP server: an engine as tools, resources and prompts for assistants, by `tt mcp`.

It knows nothing but what `tt` knows, calls what `tt` calls, and does nothing that the token of
whoever asks does not allow. It is no process of the engine; its packages are those of the extra
``mcp``.
"""
