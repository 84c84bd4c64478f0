"""/glance: the overview as one small HTML page. Pure: numbers in, a page out; it knows neither Flask nor SQL."""
