"""PostgreSQL: a file a table, a function a statement. Knows neither Flask nor HTTP."""
