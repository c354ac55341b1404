"""The description of the HTTP API in OpenAPI 3.1, and the pages that show it."""
