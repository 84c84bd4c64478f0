"""Transcripts of generated sessions: what the user asked for, what the assistant said and called, what came back."""

from random import Random
from typing import Any

from dev.cast import FILES
from dev.sessions import Call, Session

Message = dict[str, Any]

PROMPTS = (
    "The test for {file} fails since yesterday. Find out why, and mend it.",
    "Please split {file}: it has grown to a thousand lines, and half of them are about something else.",
    "When I upload an empty file, I get a 500. It should be a 400 with a sentence that says what to do.",
    "Write tests for {file}, above all for the cases where the list is empty.",
    "Rename `get_all` to `list_open` wherever it is used, {file} included.",
    "Why is the page with the invoices so slow? Measure first, then tell me what you would change in {file}.",
    "Bring {file} in line with the new interface, as the plan says in its second step.",
    "Thank you. Now do the same for {file}.",
    "No, leave the public names as they are. Change only what happens inside {file}.",
    "Commit this with a message that says why, and go on with the next task.",
)
OPENINGS = (
    "I'll look at the file first.",
    "Let me see where this is used.",
    "That narrows it down: the list is sorted before it is filtered.",
    "I'll run the tests, to see them fail for the right reason.",
    "The change is small; I'll make it and then run the tests again.",
    "Two places still use the old name.",
)
CLOSINGS = (
    "Done. The tests pass, and the slow query is gone: it had no index on `account_id`.",
    "It was the time zone: the test compared a local date with one in UTC. Both are in UTC now.",
    "I changed four files, and left the public names alone. `git diff --stat` is above.",
    "The tests pass. One of them was skipped before, so I'd look at it with you before going on.",
    "I could not finish this: the command that it takes was denied. Shall I go about it in another way?",
)
RESULTS = {
    "Read": "     1\tfrom dataclasses import dataclass\n     2\t\n     3\t@dataclass\n     4\tclass Entry:",
    "Edit": "The file has been updated.",
    "Write": "The file has been written.",
    "Grep": "src/account.ts\nsrc/components/invoice.tsx\ntests/invoice_test.py",
    "Bash": "....................................................  [100%]\n52 passed, 1 skipped in 3.41s",
    "WebFetch": "Version 4 drops the positional arguments, and asks for a time zone wherever a date is parsed.",
    "Task": "Three mistakes, by weight: an unhandled `null` in the first branch, a race in the cache, a bad name.",
}


def transcript(session: Session, until: int) -> dict[str, Any]:
    """The body of POST /api/v1/transcript for what was said in the session until then, in Unix ms.

    What is said in an early part of a session is the beginning of what is said in all of it.
    """
    random = Random(session.fields["sessionId"])  # noqa: S311  # no secrets
    messages: list[Message] = []
    for calls in session.turns:
        if calls[0].time > until:
            break
        file = random.choice(FILES)
        messages.append({"role": "user", "content": random.choice(PROMPTS).format(file=file)})
        for call in calls:
            spoken = _spoken(random, call)
            if call.time <= until:
                messages += spoken
        closing = random.choice(CLOSINGS)
        if calls[-1].time <= until:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": closing}]})
    return {
        "hostId": session.fields["hostId"],
        "sessionId": session.fields["sessionId"],
        "transcript": [{**message, "index": index, "demo": True} for index, message in enumerate(messages)],
    }


def _spoken(random: Random, call: Call) -> list[Message]:
    """The call as the assistant made it, and what came back."""
    name = f"toolu_{random.getrandbits(96):024x}"
    use = {"type": "tool_use", "id": name, "name": call.tool, "input": call.tool_input}
    said = [{"type": "text", "text": random.choice(OPENINGS)}] if random.random() < 0.5 else []
    result: Message = {"type": "tool_result", "tool_use_id": name, "content": RESULTS[call.tool]}
    if call.denied is not None:
        result |= {"content": f"Denied: {call.denied}", "is_error": True}
    return [{"role": "assistant", "content": [*said, use]}, {"role": "tool_result", "content": [result]}]
