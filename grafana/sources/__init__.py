"""The dashboards of this site: a function a dashboard, and in its module a function a panel."""

from collections.abc import Callable

from grafana.sources.collector import collector
from grafana.sources.costs import costs
from grafana.sources.dashboard import Dashboard
from grafana.sources.decisions import decisions
from grafana.sources.hosts import hosts
from grafana.sources.overview import overview
from grafana.sources.session import session
from grafana.sources.sessions import sessions

DASHBOARDS: tuple[Callable[[], Dashboard], ...] = (overview, decisions, sessions, session, costs, hosts, collector)
