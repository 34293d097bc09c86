"""The stand-in's platform service: batches of logs, and older generations."""
from cases import check, equal, main, test

EVENT = {"project_id": "p1", "session_id": "session_1", "task_id": "task_1",
         "client_created_at": 1706700000, "last_update": 1706700002,
         "input": "hi", "raw_input": {"messages": []},
         "raw_input_type_name": "dict", "output": "hello", "raw_output": None,
         "raw_output_type_name": "NoneType", "version_id": "v1",
         "user_id": None, "metadata": {"region": "eu"}, "model": "m-1",
         "prompt_tokens": 4}


def call(standin, method, path, body=None, **more):
    return standin.call("platform", method, path, body, **more)


def log(standin, *events, path="/v2/log/p1"):
    return call(standin, "POST", path, {"batched_log_events": list(events)})


# ---- batches ----

@test
def a_logged_event_comes_back_whole_and_is_a_task(standin):
    answer = log(standin, EVENT)
    equal(answer.status, 200)
    told, = answer.json["logged_events"]
    metadata = {"region": "eu", "model": "m-1", "prompt_tokens": 4}
    equal((told["task_id"], told["environment"], told["metadata"]),
          ("task_1", "default environment", metadata))
    task = call(standin, "GET", "/v2/tasks/task_1").json
    equal((task["input"], task["output"], task["session_id"],
           task["created_at"], task["metadata"]),
          ("hi", "hello", "session_1", 1706700000,
           dict(metadata, version_id="v1")))


@test
def what_an_event_leaves_out_is_made(standin):
    told, = log(standin, {"input": "hi"}).json["logged_events"]
    check(told["task_id"].startswith("task_"), told)
    check(told["session_id"].startswith("session_"), told)
    check(told["client_created_at"] > 1706700000, told)
    equal((told["project_id"], told["output"]), ("p1", None))


@test
def a_time_that_cannot_be_is_replaced(standin):
    for at in (-1, 9999999999):
        told, = log(standin, {"input": "i", "client_created_at": at,
                              "task_id": f"t{at}"}).json["logged_events"]
        task = call(standin, "GET", f"/v2/tasks/{told['task_id']}").json
        check(1706700000 < task["created_at"] < 9999999999, task)
    log(standin, {"input": "i", "client_created_at": 5, "created_at": 7,
                  "task_id": "t"})
    equal(call(standin, "GET", "/v2/tasks/t").json["created_at"], 7)


@test
def one_event_without_input_spoils_the_batch(standin):
    for bad, where in [({"output": "o"}, "input"), ({"input": 5}, "input"),
                       ({"input": "i", "output": {}}, "output")]:
        answer = log(standin, EVENT, bad)
        equal(answer.status, 422)
        equal(answer.json["detail"][0]["loc"],
              ["body", "batched_log_events", 1, where])
    equal(call(standin, "GET", "/v2/tasks/task_1").status, 404)


@test
def one_event_that_fails_the_strict_check_fails_alone(standin):
    for bad in ({"client_created_at": "5"}, {"task_id": None},
                {"task_id": {}}, {"flag": "good"}, {"metadata": 1},
                {"environment": None}, {"project_id": "foreign"}):
        answer = log(standin, dict(EVENT, **bad), {"input": "i"})
        equal(answer.status, 200)
        first, second = answer.json["logged_events"]
        equal(list(first), ["error_in_log"], bad)
        equal(second["input"], "i")
    equal(call(standin, "GET", "/v2/tasks/task_1").status, 404)


@test
def an_event_that_comes_again_is_single_but_counts_twice(standin):
    for _ in range(2):
        log(standin, EVENT)
    session = call(standin, "GET", "/v2/sessions/session_1").json
    equal(session["session_length"], 2)
    tasks = call(standin, "GET", "/v2/sessions/session_1/tasks").json["tasks"]
    equal(len(tasks), 1)
    equal(standin.control("GET", "state")["duplicates"]["platform"],
          {"task_1": 2})


@test
def an_exhausted_quota_is_told_and_the_event_is_stored(standin):
    standin.settings("platform", events_left=1)
    first, second = log(standin, EVENT, dict(EVENT, task_id="task_2")).json[
        "logged_events"]
    equal(first["task_id"], "task_1")
    check(second["error_in_log"].startswith(
        "Max usage quota reached for project"), second)
    equal(call(standin, "GET", "/v2/tasks/task_2").status, 200)


@test
def a_flag_in_a_log_is_a_human_evaluation(standin):
    log(standin, dict(EVENT, flag="failure"))
    task = call(standin, "GET", "/v2/tasks/task_1").json
    equal((task["flag"], task["human_eval"]["flag"]), ("failure", "failure"))


@test
def maintenance_is_a_503(standin):
    standin.settings("platform", maintenance=True)
    answer = log(standin, EVENT)
    equal((answer.status, list(answer.json)), (503, ["detail"]))
    answer = log(standin, path="/v3/log")
    equal(answer.status, 503)


@test
def batches_are_for_projects_of_ones_own(standin):
    equal(log(standin, EVENT, path="/v2/log/foreign").status, 403)
    equal(log(standin, EVENT, path="/v2/log/none").status, 404)
    equal(call(standin, "POST", "/v2/log/p1", {}).status, 422)


@test
def messages_replace_append_or_resolve(standin):
    def say(mode, *texts):
        answer = call(standin, "POST", "/v3/log", {
            "project_id": "p1", "batched_log_events": [{
                "session_id": "s1", "messages": [
                    {"role": role, "content": text}
                    for role, text in zip(["user", "assistant"] * 2, texts)],
                **({"merge_mode": mode} if mode else {})}]})
        equal((answer.status, answer.text), (200, "null"))
        tasks = call(standin, "GET", "/v2/sessions/s1/tasks").json["tasks"]
        return [(task["input"], task["output"]) for task in tasks[::-1]]

    equal(say(None, "a", "b"), [("a", "b")])
    equal(say("append", "c", "d"), [("a", "b"), ("c", "d")])
    equal(say("resolve", "c", "d"), [("a", "b"), ("c", "d")])
    equal(say("replace", "e"), [("e", None)])


@test
def only_refused_messages_are_told(standin):
    good = {"session_id": "s1", "messages": []}
    answer = call(standin, "POST", "/v3/log", {
        "project_id": "p1", "batched_log_events": [
            good, {"messages": [{"role": 1}]}, dict(good, merge_mode="x")]})
    equal([list(told) for told in answer.json["logged_events"]],
          [["error_in_log"]] * 2)
    equal(call(standin, "POST", "/v3/log", {}).status, 422)


@test
def traces_are_taken_in_any_form(standin):
    answer = call(standin, "POST", "/v3/otl/p1", b"\x0a\x00\xff")
    equal((answer.status, answer.json), (200, {"status": "ok"}))


# ---- 0.2 ----

@test
def comparisons_and_tests_are_there_in_0_2_alone(standin):
    body = {"project_id": "p1", "context_input": "q", "old_output": "a",
            "new_output": "b", "test_id": None}
    equal(call(standin, "POST", "/v2/evals/compare", body).status, 404)
    standin.settings("platform", generation="0.2")
    answer = call(standin, "POST", "/v2/evals/compare", body)
    equal((answer.status, answer.json["comparison_result"]),
          (200, "New output is better"))
    answer = call(standin, "POST", "/v2/evals/compare/", body)
    equal((answer.status, answer.headers["Location"]),
          (307, f"{standin.url}/platform/v2/evals/compare"))


@test
def a_test_is_created_updated_and_completed(standin):
    standin.settings("platform", generation="0.2")
    made = call(standin, "POST", "/v0/tests", {
        "project_id": "p1", "summary": {"dropped": 1}}).json
    equal((made["status"], made["summary"]), ("started", {}))
    path = f"/v0/tests/{made['id']}"
    call(standin, "POST", path, {"summary": {"a": 1}})
    got = call(standin, "POST", path, {"summary": {"b": 2}}).json
    equal(got["summary"], {"a": 1, "b": 2})
    got = call(standin, "POST", path, {"status": "completed"}).json
    equal((got["status"], sorted(got["summary"])),
          ("completed", ["a", "b", "overall_score"]))
    equal(call(standin, "GET", path).json, got)
    equal(call(standin, "POST", path, {"status": "odd"}).status, 422)
    equal(call(standin, "GET", "/v0/tests/none").status, 404)
    made = call(standin, "POST", "/v0/tests/p1/create").json
    equal(made["project_id"], "p1")


@test
def the_lists_of_0_2_stay_when_methods_are_strict(standin):
    standin.settings("platform", generation="0.2", strict_methods=True)
    for path in ("/v2/projects/p1/sessions", "/v2/projects/p1/tasks"):
        equal(call(standin, "GET", path).status, 200, path)


# ---- 0.1 ----

@test
def in_0_1_every_path_ends_in_a_slash(standin):
    standin.settings("platform", generation="0.1")
    body = {"project_id": "p1", "data": {}}
    answer = call(standin, "POST", "/sessions", body)
    equal((answer.status, answer.headers["Location"]),
          (307, f"{standin.url}/platform/sessions/"))
    equal(call(standin, "POST", "/v2/sessions", body).status, 404)
    answer = call(standin, "POST", "/sessions/", body)
    equal((answer.status, list(answer.json)), (200, ["session_id"]))


@test
def ids_of_0_1_stand_under_the_keys_that_it_had(standin):
    standin.settings("platform", generation="0.1")
    session = call(standin, "POST", "/sessions/",
                   {"project_id": "p1", "data": {}}).json["session_id"]
    task = call(standin, "POST", "/tasks/", {
        "session_id": session, "sender_id": "u", "input": "hi",
        "additional_input": {}, "data": {}}).json["task_id"]
    step = call(standin, "POST", "/steps/", {
        "task_id": task, "input": "hi", "name": "search", "is_last": False,
        "status": "started", "additional_input": {}, "data": {}}).json[
        "step_id"]
    for path, made in [(f"/sessions/{session}/", session),
                       (f"/tasks/{task}/", task), (f"/steps/{step}/", step)]:
        equal(call(standin, "GET", path).json["id"], made)
        equal(call(standin, "GET", path + "nothing/").status, 404)
    for path, name, key, made in [
            ("/projects/p1/sessions/", "sessions", "id", session),
            (f"/sessions/{session}/tasks/", "tasks", "task_id", task),
            (f"/tasks/{task}/steps/", "steps", "step_id", step)]:
        equal([one[key] for one in call(standin, "GET", path).json[name]],
              [made], path)
    answer = call(standin, "POST", f"/steps/{step}/update/",
                  {"status": "done", "is_last": True, "output": "ok"})
    equal(answer.json, {"step_id": step})
    got = call(standin, "GET", f"/steps/{step}/").json
    equal((got["status"], got["is_last"], got["output"], got["name"]),
          ("done", True, "ok", "search"))


@test
def data_of_0_1_grows_key_by_key(standin):
    standin.settings("platform", generation="0.1")
    session = call(standin, "POST", "/sessions/", {
        "project_id": "p1", "data": {"a": 1, "b": 1}}).json["session_id"]
    path = f"/sessions/{session}/"
    answer = call(standin, "POST", path + "update/",
                  {"metadata": {}, "data": {"b": 2, "c": 3}})
    equal(answer.json, {"session_id": session})
    equal(call(standin, "GET", path).json["data"], {"a": 1, "b": 2, "c": 3})
    equal(call(standin, "GET", "/sessions/none/").status, 404)
    equal(call(standin, "POST", "/tasks/", {"input": "i"}).status, 422)
    equal(call(standin, "DELETE", path).status, 405)


main()
