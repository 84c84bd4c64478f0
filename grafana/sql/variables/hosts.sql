SELECT host FROM reporting.hosts ORDER BY 1
