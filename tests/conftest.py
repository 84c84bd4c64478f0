"""What every test may use; the fixtures are in tests/fixtures, a file a theme."""

from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.collector",
    "tests.fixtures.browser",
    "tests.fixtures.grafana",
]

# A machine that is busy with something else must not fail a property; a failure says how to repeat it.
settings.register_profile("suite", deadline=None, print_blob=True)
settings.load_profile("suite")
