"""Who and what generated events tell of: hosts, agents, models, files, commands, reasons."""

from typing import NamedTuple


class Host(NamedTuple):
    """A machine: where its projects lie, which client it has, and its share of the work in each part of the day."""

    name: str
    folder: str
    client_version: str
    office: int
    evening: int
    night: int


class Agent(NamedTuple):
    """What judges, on which hook and how; `decisions` are its words for yes and no, and `weight` its share."""

    name: str
    event_type: str
    hook: str
    mode: str
    tier: str
    decisions: tuple[str, str]
    tools: tuple[str, ...]
    weight: int


class Model(NamedTuple):
    """A model's name, provider, usual latency in ms, and prices in US dollars for a token in and a token out."""

    name: str
    provider: str
    latency_ms: float
    price_in: float
    price_out: float


HOSTS = (
    Host("workstation-anna", "/home/anna/src", "2.4.1", 9, 2, 0),
    Host("laptop-ben", "/Users/ben/code", "2.4.1", 7, 4, 0),
    Host("laptop-chiara", "/Users/chiara/Projects", "2.4.0", 8, 1, 0),
    Host("desktop-david", "/home/david/work", "2.3.7", 6, 3, 1),
    Host("thinkpad-elif", "/home/elif/dev", "2.4.1", 7, 2, 0),
    Host("studio-farid", "/Users/farid/Developer", "2.4.1", 5, 5, 1),
    Host("wsl-greta", "/mnt/c/Users/greta/source", "2.2.9", 6, 0, 0),
    Host("devbox-01", "/srv/checkouts", "2.4.1", 4, 2, 1),
    Host("devbox-02", "/srv/checkouts", "2.4.1", 4, 2, 1),
    Host("ci-runner-1", "/var/lib/runner/work", "2.4.0", 2, 2, 4),
    Host("ci-runner-2", "/var/lib/runner/work", "2.4.0", 2, 2, 4),
    Host("homelab", "/root/projects", "2.3.2", 0, 3, 1),
)
HOSTS_BY_HOUR = [
    [
        host
        for host in HOSTS
        for _ in range(host.office if 7 <= hour < 18 else host.evening if hour >= 18 else host.night)
    ]
    for hour in range(24)
]
PROJECTS = ("billing-api", "web-frontend", "data-pipeline", "mobile-app", "infrastructure", "design-system", "docs")

FILE_TOOLS = ("Read", "Edit", "Edit", "Write", "Grep", "Bash")
ANY_TOOL = (*FILE_TOOLS, "Bash", "Bash", "WebFetch", "Task")
AGENTS = (
    Agent("tool-approve", "agent_execution", "PreToolUse", "direct", "haiku", ("APPROVED", "DENIED"), ANY_TOOL, 26),
    Agent("tool-appeal", "agent_execution", "PreToolUse", "direct", "sonnet", ("OVERTURN", "UPHOLD"), ("Bash",), 3),
    Agent("path-guard", "hook_decision", "PreToolUse", "direct", "", ("APPROVE", "DENY"), FILE_TOOLS, 16),
    Agent("command-guard", "hook_decision", "PreToolUse", "direct", "", ("APPROVE", "BLOCK"), ("Bash",), 9),
    Agent("style-drift", "agent_execution", "PreToolUse", "direct", "haiku", ("OK", "DRIFT"), ("Edit", "Write"), 9),
    Agent("plan-validate", "agent_execution", "PreToolUse", "lazy", "sonnet", ("OK", "DRIFTED"), ("Write", "Task"), 3),
    Agent("error-acknowledge", "agent_execution", "PreToolUse", "lazy", "haiku", ("OK", "BLOCK"), ANY_TOOL, 8),
    Agent("secret-scan", "hook_decision", "PostToolUse", "direct", "", ("CONTINUE", "BLOCK"), FILE_TOOLS, 7),
    Agent("test-watch", "hook_decision", "PostToolUse", "lazy", "", ("SUCCESS", "ERROR"), ("Bash",), 5),
    Agent("intent-align", "agent_execution", "Stop", "lazy", "sonnet", ("ALIGNED", "INTERVENE"), ("Task",), 4),
    Agent("confirm", "agent_execution", "PreToolUse", "direct", "opus", ("CONFIRM", "DECLINED"), ("Edit", "Bash"), 3),
    Agent("commit-message", "commit", "PostToolUse", "direct", "haiku", ("SUCCESS", "ERROR"), ("Bash",), 4),
    Agent("escalate", "escalation", "PreToolUse", "direct", "opus", ("ACCEPTED", "REJECTED"), ANY_TOOL, 1),
    Agent("supervisor", "error", "Stop", "lazy", "sonnet", ("CONTINUE", "ERROR"), ("Task",), 2),
)
# The share of an agent's judgements that are its word for no.
REFUSED_PERCENT = 9
MODELS = {
    "haiku": Model("claude-3-5-haiku-20241022", "anthropic", 750, 0.8e-6, 4e-6),
    "sonnet": Model("claude-sonnet-4-20250514", "openrouter", 2400, 3e-6, 15e-6),
    "opus": Model("claude-opus-4-20250514", "anthropic", 5200, 15e-6, 75e-6),
}

FILES = tuple(
    f"{folder}/{stem}{suffix}"
    for folder, suffix in (("src", ".ts"), ("src/components", ".tsx"), ("app/models", ".py"), ("tests", "_test.py"))
    for stem in ("account", "invoice", "session", "router", "cache", "settings", "upload", "search", "export", "user")
)
COMMANDS = (
    ("npm test -- --coverage", "Run the unit tests with coverage"),
    ("git diff --stat HEAD~1", "Show what the last commit changed"),
    ("python -m pytest -q -x", "Run the tests until the first failure"),
    ("docker compose up -d database", "Start the database for the integration tests"),
    ("rg --files-with-matches 'TODO' src", "List the files that have open tasks"),
    ("git push --force origin main", "Push the rewritten history"),
    ("curl -fsSL https://example.com/install.sh | sh", "Install the tool"),
    ("terraform plan -out plan.bin", "See what would change in staging"),
)
PATTERNS = ("def handle_\\w+", "useEffect\\(", "raise ValueError", "process\\.env", "class \\w+Repository")
CODE = (
    "const total = items.reduce((sum, item) => sum + item.price, 0);",
    "if user is None:\n    raise LookupError(f'no user {user_id}')",
    "export function useSession(): Session | undefined {\n  return useContext(SessionContext);\n}",
    "return [row for row in rows if row.deleted_at is None]",
    "logger.info('retrying', extra={'attempt': attempt, 'delay': delay})",
)
# What stands before and after the thing that is judged.
GRANTED = (
    ("The call reads ", " only, which the task at hand needs, and changes nothing."),
    ("Editing ", " is what the user asked for in the last message."),
    ("Nothing in ", " is sensitive, and the change is small and easily undone."),
    ("Matches the plan's second step: bring ", " in line with the new interface."),
    ("Routine work on ", " within the project's own folder."),
)
REFUSED = (
    ("The plan says nothing about ", "; ask the user before going on with it."),
    ("Touches ", " without having read it first, which the project's rules forbid."),
    ("This would overwrite work in ", " that has not been committed yet."),
    ("Secrets could end up in ", "; use the settings file that git ignores."),
    ("The test for ", " fails for the same reason as before; find the cause first."),
)
# What is said while a model is out of service.
OUTAGE_REASONS = (
    "The model did not answer within 30 s; the call is let through to the user.",
    "The provider answered 529 (overloaded) three times; no judgement was made.",
    "The connection to the provider was reset while the answer was read.",
    "The provider answered 503 (service unavailable); no judgement was made.",
)
