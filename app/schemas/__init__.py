"""marshmallow: what an event and a transcript are. Knows neither Flask nor SQL."""
