"""The stand-in's platform service as it is today."""
from cases import check, equal, main, test


def post(standin, path, body=None, **more):
    return standin.call("platform", "POST", "/v2" + path, body, **more)


def get(standin, path, **more):
    return standin.call("platform", "GET", "/v2" + path, **more)


def session(standin, project_id="p1", **fields):
    return post(standin, "/sessions",
                {"project_id": project_id, **fields}).json


def task(standin, **fields):
    return post(standin, "/tasks", {"project_id": "p1", "input": "hi",
                                    "output": "hello", **fields}).json


def invalid(answer, *where):
    """A refusal with a list that names this place."""
    equal(answer.status, 422, answer)
    places = [item["loc"] for item in answer.json["detail"]]
    check(list(where) in places, places)
    for item in answer.json["detail"]:
        check({"loc", "msg", "type"} <= set(item), item)


@test
def a_session_is_created_read_and_replaced_in_parts(standin):
    answer = post(standin, "/sessions", {
        "project_id": "p1", "data": {"a": 1}, "session_id": "ignored"})
    equal(answer.status, 200)
    made = answer.json
    equal((len(made["id"]), made["data"], made["session_length"]),
          (32, {"a": 1}, 0))
    equal(get(standin, f"/sessions/{made['id']}").json, made)
    changed = post(standin, f"/sessions/{made['id']}", {
        "data": {"b": 2}, "notes": "n", "preview": None}).json
    equal(changed, dict(made, data={"b": 2}, notes="n"))
    equal(get(standin, f"/sessions/{made['id']}").json, changed)
    invalid(post(standin, "/sessions", {}), "body", "project_id")
    invalid(post(standin, f"/sessions/{made['id']}", {"data": 1}),
            "body", "data")


@test
def a_task_is_created_read_and_replaced_in_parts(standin):
    own = session(standin)
    made = task(standin, session_id=own["id"], data={"a": 1}, flag="success",
                metadata={"m": 1}, additional_output={"x": 1}, sender_id="u")
    equal((made["session_id"], made["data"], made["input"], made["output"]),
          (own["id"], {"a": 1}, "hi", "hello"))
    # Taken, and then not stored.
    equal((made["flag"], made["metadata"], made["additional_output"]),
          (None, {}, {}))
    equal(get(standin, f"/tasks/{made['id']}").json, made)
    changed = post(standin, f"/tasks/{made['id']}", {
        "data": {"b": 2}, "metadata": None, "flag": "failure",
        "flag_source": "me"}).json
    equal((changed["data"], changed["metadata"], changed["flag"],
           changed["last_eval"]["source"]), ({"b": 2}, {}, "failure", "me"))


@test
def a_tasks_session_counts_for_its_project(standin):
    other = session(standin, "p2")
    equal(task(standin, session_id=other["id"])["project_id"], "p2")
    answer = post(standin, "/tasks", {"project_id": "p1", "input": "i",
                                      "output": "o", "session_id": "none"})
    equal(answer.status, 404)
    invalid(post(standin, "/tasks", {"input": "i", "output": "o",
                                     "session_id": other["id"]}),
            "body", "project_id")


@test
def a_task_with_an_id_of_the_callers_is_stored_once(standin):
    for _ in range(2):
        equal(task(standin, task_id="task_1")["id"], "task_1")
    equal(len(post(standin, "/projects/p1/tasks").json["tasks"]), 1)
    equal(standin.control("GET", "state")["duplicates"]["platform"],
          {"task_1": 2})


@test
def a_sessions_tasks_come_newest_first(standin):
    own = session(standin)
    made = [task(standin, session_id=own["id"], input=str(number))["id"]
            for number in range(3)]
    path = f"/sessions/{own['id']}"
    equal([one["id"] for one in get(standin, f"{path}/tasks").json["tasks"]],
          made[::-1])
    equal(len(get(standin, f"{path}/tasks?limit=2").json["tasks"]), 2)
    invalid(get(standin, f"{path}/tasks?limit=x"), "query", "limit")
    equal(get(standin, f"{path}/transcript").json["transcript"].splitlines()[0],
          "User: 0")
    equal(get(standin, path).json["session_length"], 3)


@test
def a_flag_is_kept_with_its_source_and_notes(standin):
    for name, field in [("human-eval", "human_eval"), ("flag", "flag")]:
        made = task(standin)
        answer = post(standin, f"/tasks/{made['id']}/{name}", {
            field: "success", "project_id": "p1", "source": "user",
            "notes": "good", "flag_source": "ignored"})
        equal(answer.status, 200)
        got = answer.json
        equal((got["flag"], got["human_eval"]["flag"], got["notes"],
               got["last_eval"]["value"], got["last_eval"]["source"]),
              ("success", "success", "good", "success", "user"))
        equal(get(standin, f"/tasks/{made['id']}").json, got)


@test
def a_flag_that_cannot_be_is_refused(standin):
    path = f"/tasks/{task(standin)['id']}/human-eval"
    equal(post(standin, path, {"human_eval": "good"}).status, 400)
    equal(post(standin, path, {"human_eval": "success",
                               "project_id": "p2"}).status, 400)
    equal(post(standin, path, {"human_eval": "success"}, key=None).status, 400)
    equal(post(standin, path, {"human_eval": "success", "project_id": "p1"},
               key=None).status, 200)
    invalid(post(standin, path, {}), "body", "human_eval")
    equal(post(standin, "/tasks/none/flag", {"flag": "success"}).status, 404)


@test
def the_404_of_an_unknown_task_comes_late_when_told(standin):
    standin.settings("platform", holds_unknown_task=True)
    line = standin.open("POST", "/platform/v2/tasks/none/flag",
                        {"flag": "success"}, "org_key",
                        ["Connection: close"])
    equal(standin.held(), 1)
    equal(standin.requests()[0]["ended"], None)
    standin.release()
    check(line.makefile("rb").read().startswith(b"HTTP/1.1 404 "), "status")
    line.close()


@test
def a_projects_sessions_come_by_their_last_message(standin):
    first, second = session(standin), session(standin)
    session(standin, "p2")
    post(standin, "/log/p1", {"batched_log_events": [
        {"input": "i", "session_id": first["id"], "created_at": 2},
        {"input": "i", "session_id": second["id"], "created_at": 1}]})
    equal([one["id"] for one in
           post(standin, "/projects/p1/sessions").json["sessions"]],
          [first["id"], second["id"]])
    answer = post(standin, "/projects/p1/sessions?limit=1")
    equal(len(answer.json["sessions"]), 1)


@test
def a_projects_tasks_are_filtered(standin):
    own = session(standin)
    task(standin, task_id="a", session_id=own["id"])
    task(standin, task_id="b")
    post(standin, "/tasks/b", {"flag": "success", "metadata": {"k": 1,
                                                               "user_id": "u"}})
    for filters, want in [
            ({}, ["b", "a"]), ({"flag": "success"}, ["b"]),
            ({"flag": None}, ["b", "a"]), ({"metadata": {"k": 1}}, ["b"]),
            ({"user_id": "u"}, ["b"]), ({"tasks_ids": ["a"]}, ["a"]),
            ({"sessions_ids": [own["id"]]}, ["a"]),
            ({"created_at_end": 5}, []), ({"created_at_start": 5}, ["b", "a"]),
            ({"has_notes": False}, ["b", "a"]), ({"clustering_id": "c"}, []),
            ({"flag": "success", "tasks_ids": ["a"]}, [])]:
        answer = post(standin, "/projects/p1/tasks", {"filters": filters})
        equal([one["id"] for one in answer.json["tasks"]], want, filters)
    answer = post(standin, "/projects/p1/tasks", {"limit": 1})
    equal(len(answer.json["tasks"]), 1)


@test
def flat_tasks_are_listed_and_updated(standin):
    own = session(standin)
    made = task(standin, session_id=own["id"])
    rows = post(standin, "/projects/p1/tasks/flat", {}).json["flattened_tasks"]
    equal((rows[0]["task_id"], rows[0]["task_input"], rows[0]["session_id"]),
          (made["id"], "hi", own["id"]))
    rows = post(standin, "/projects/p1/tasks/flat",
                {"with_sessions": False}).json["flattened_tasks"]
    equal(rows[0]["session_id"], None)
    answer = post(standin, "/projects/p1/tasks/flat-update", {
        "flattened_tasks": [{"task_id": made["id"], "task_eval": "failure",
                             "task_eval_source": "me", "task_eval_at": 5,
                             "task_metadata": {"k": 1},
                             "task_input": "ignored"}]})
    equal((answer.status, answer.text), (200, "null"))
    got = get(standin, f"/tasks/{made['id']}").json
    equal((got["flag"], got["last_eval"]["source"],
           got["last_eval"]["created_at"], got["metadata"], got["input"]),
          ("failure", "me", 5, {"k": 1}, "hi"))


@test
def keys_open_the_projects_of_their_organisation(standin):
    made = session(standin)
    for key, status, detail in [(None, 403, "Not authenticated"),
                                ("wrong", 401, "Invalid token")]:
        answer = get(standin, f"/sessions/{made['id']}", key=key)
        equal((answer.status, answer.json), (status, {"detail": detail}))
    answer = get(standin, f"/sessions/{made['id']}", key="other_org_key")
    equal((answer.status, list(answer.json)), (403, ["detail"]))
    equal(post(standin, "/sessions", {"project_id": "foreign"}).status, 403)
    equal(post(standin, "/sessions", {"project_id": "none"}).status, 404)
    equal(get(standin, "/me").json["org_id"], "org1")
    equal(get(standin, "/health", key=None).json, {"status": "OK"})


@test
def what_is_unknown_is_a_404_with_a_detail(standin):
    for path in ("/sessions/none", "/sessions/none/tasks", "/tasks/none",
                 "/sessions/none/transcript"):
        answer = get(standin, path)
        equal(answer.status, 404, path)
        check(answer.json["detail"].endswith("not found"), answer)
    for path in ("/projects/p1", "/nothing", "/tests/t", "/evals/compare"):
        answer = get(standin, path)
        equal((answer.status, answer.json), (404, {"detail": "Not Found"}),
              path)
    invalid(post(standin, "/sessions", b"{"), "body")


@test
def v0_is_v2(standin):
    made = session(standin)
    answer = standin.call("platform", "GET", f"/v0/sessions/{made['id']}")
    equal(answer.json, made)


@test
def a_last_slash_is_redirected_with_its_query(standin):
    answer = get(standin, "/sessions/x/tasks/?limit=2")
    equal((answer.status, answer.headers["Location"]),
          (307, f"{standin.url}/platform/v2/sessions/x/tasks?limit=2"))
    equal(get(standin, "/nothing/").status, 404)


@test
def lists_are_asked_for_in_either_way_unless_told(standin):
    own = session(standin)
    ways = [("GET", "POST", "/projects/p1/sessions"),
            ("GET", "POST", "/projects/p1/tasks"),
            ("GET", "POST", "/projects/p1/tasks/flat"),
            ("POST", "GET", f"/sessions/{own['id']}/tasks")]
    for other, right, path in ways:
        equal(standin.call("platform", other, "/v2" + path).status, 200)
    standin.settings("platform", strict_methods=True)
    for other, right, path in ways:
        answer = standin.call("platform", other, "/v2" + path)
        equal((answer.status, answer.json, answer.headers["Allow"]),
              (405, {"detail": "Method Not Allowed"}, right), path)
        equal(standin.call("platform", right, "/v2" + path).status, 200)


main()
