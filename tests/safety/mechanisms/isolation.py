"""What an isolated process gives up before it looks at a module."""

from __future__ import annotations

from tests.safety.mechanism import Mechanism

_SECCOMP = "vibewasm/sandbox/seccomp.py"
_LANDLOCK = "vibewasm/sandbox/landlock.py"
_LOCKDOWN = "vibewasm/sandbox/lockdown.py"
_PROCESS = "vibewasm/sandbox/process.py"
_RUNNING = "vibewasm/sandbox/running.py"
_REPORT = "vibewasm/sandbox/report.py"
_ATTACKS = "tests/sandbox/test_attacks.py::"
_FILTER = "tests/sandbox/test_seccomp.py::"
_RUNS = "tests/sandbox/test_runs.py::"
_REPORTS = "tests/sandbox/test_reports.py::"

MECHANISMS = [
    Mechanism(
        "seccomp",
        "the system, from calls that no run makes",
        _LOCKDOWN,
        "        _filter(machine, bool(folders), any(writable for _, writable in folders))\n",
        "        pass\n",
        (_ATTACKS + "test_what_no_run_does_kills_the_process",),
        seconds=60,
    ),
    Mechanism(
        "seccomp-processor-word",
        "the system, from calls by the numbers of another processor",
        _SECCOMP,
        "_step(_JUMP_EQUAL, ARCHITECTURES[machine], 1, 0)",
        "_step(_JUMP_EQUAL, ARCHITECTURES[machine], 1, 1)",
        (
            _FILTER + "test_calls_of_other_processors_and_unknown_ones_kill",
            _ATTACKS + "test_calls_by_the_numbers_of_other_programs_kill_the_process",
        ),
    ),
    Mechanism(
        "seccomp-x32",
        "the system, from calls by the numbers of x32",
        _SECCOMP,
        "_step(_JUMP_GREATER_EQUAL, X32, 0, 1), _step(_RETURN, _KILL)",
        "_step(_JUMP_GREATER_EQUAL, X32, 0, 1), _step(_RETURN, _ALLOW)",
        (
            _FILTER + "test_calls_of_other_processors_and_unknown_ones_kill",
            _ATTACKS + "test_calls_by_the_numbers_of_other_programs_kill_the_process",
        ),
        processor="x86_64",
    ),
    Mechanism(
        "seccomp-default",
        "the system, from calls that nobody has thought of",
        _SECCOMP,
        "    code.append(_step(_RETURN, _KILL))\n    return b",
        "    code.append(_step(_RETURN, _ALLOW))\n    return b",
        (
            _FILTER + "test_calls_of_other_processors_and_unknown_ones_kill",
            _ATTACKS + "test_what_no_run_does_kills_the_process",
        ),
        seconds=60,
    ),
    Mechanism(
        "seccomp-no-written-code",
        "the process, from memory that can be written and executed",
        _SECCOMP,
        "        ((4, _PROT_EXEC | _PROT_WRITE, _PROT_EXEC), (6, _MAP_TYPE, _MAP_SHARED)),\n",
        "        ((4, 0, 0),),\n",
        (
            _FILTER + "test_arguments_decide_where_they_have_to",
            _ATTACKS + "test_memory_that_can_be_written_is_never_executed",
        ),
    ),
    Mechanism(
        "seccomp-threads-only",
        "the system, from processes that outlive the run",
        _SECCOMP,
        '    found["clone"] = (((0, _CLONE_THREAD | _CLONE_NAMESPACES, _CLONE_THREAD),),), -1\n',
        '    found["clone"] = always, 0\n',
        (_FILTER + "test_arguments_decide_where_they_have_to",),
    ),
    Mechanism(
        "seccomp-every-thread",
        "the system, from a thread that was there before the filter",
        _LOCKDOWN,
        "    if _thread._count():\n",
        "    if False:\n",
        ("tests/sandbox/test_lockdown.py::test_no_thread_is_left_out_of_the_lockdown",),
    ),
    Mechanism(
        "landlock",
        "files, from code that knows their paths",
        _LOCKDOWN,
        "            landlock.restrict(machine, folders)\n",
        "            pass\n",
        (_ATTACKS + "test_with_folders_there_is_what_is_in_them",),
    ),
    Mechanism(
        "landlock-read-only",
        "files of a read-only folder",
        _LANDLOCK,
        "_READING | (_CHANGING if writable else 0)",
        "_READING | _CHANGING",
        (_ATTACKS + "test_with_folders_there_is_what_is_in_them",),
    ),
    Mechanism(
        "system-limits",
        "the system's memory, time, descriptors and disk",
        _LOCKDOWN,
        "        _set_limits(limits)\n",
        "        pass\n",
        (_ATTACKS + "test_memory_processor_time_descriptors_and_files_are_limited",),
        seconds=30,
    ),
    Mechanism(
        "no-new-privileges",
        "the system, from programs that give privileges to whoever runs them",
        _LOCKDOWN,
        '        ("no-new-privileges", (_PR_SET_NO_NEW_PRIVS, 1)),\n',
        "",
        (_ATTACKS + "test_the_process_gives_up_privileges_and_hides_from_others",),
    ),
    Mechanism(
        "not-dumpable",
        "what the process knows, from others of the same user and from core files",
        _LOCKDOWN,
        '        ("not-dumpable", (_PR_SET_DUMPABLE, 0)),\n',
        "",
        (_ATTACKS + "test_the_process_gives_up_privileges_and_hides_from_others",),
    ),
    Mechanism(
        "parent-death",
        "the system's time, from a run whose host has died",
        _LOCKDOWN,
        '        ("parent-death", (_PR_SET_PDEATHSIG, int(signal.SIGKILL))),\n',
        "",
        (_ATTACKS + "test_a_process_whose_parent_ends_ends_too",),
        seconds=20,
    ),
    Mechanism(
        "killed-when-late",
        "the host's time, from a process that answers to nothing",
        _PROCESS,
        "        if not over and left is not None and left <= 0:\n",
        "        if False:\n",
        (_RUNS + "test_a_process_that_says_too_much_or_goes_on_silently_is_killed",),
        seconds=30,
    ),
    Mechanism(
        "deadline-of-runs",
        "the host's time, from a run that a deadline of the program does not reach",
        _RUNNING,
        "    if deadline is not None and killed is not None and killed < deadline.until:\n",
        "    if deadline is not None:\n",
        (_RUNS + "test_a_deadline_ends_a_run_that_is_begun_in_its_block",),
        seconds=30,
    ),
    Mechanism(
        "limits-of-runs",
        "the host, from runs that nobody has limited",
        _RUNNING,
        "ResourceLimits.usual(max_memory=None) if limits is None else limits\n",
        "limits\n",
        (_RUNS + "test_what_nobody_limits_has_the_limits_of_the_command",),
    ),
    Mechanism(
        "output-limit",
        "the host's memory, from a process that writes without end",
        "vibewasm/sandbox/pipes.py",
        "        if self._most is not None and self._count > self._most:\n",
        "        if False:\n",
        (_RUNS + "test_output_is_limited_and_goes_where_it_is_wanted",),
        seconds=30,
    ),
    Mechanism(
        "no-signal-of-pipes",
        "the host, which may not ignore SIGPIPE, from a process that ends before it has read its input",
        "vibewasm/sandbox/pipes.py",
        "                signal.sigtimedwait((signal.SIGPIPE,), 0)\n",
        "                pass\n",
        (_RUNS + "test_a_process_that_does_not_read_its_input_sends_the_host_no_signal",),
        seconds=30,
    ),
    Mechanism(
        "no-descriptors-passed-on",
        "what the host has open, from the process of a run",
        _PROCESS,
        "                pass_fds=(job_fd, report_fd),\n",
        "                close_fds=False,\n",
        (_RUNS + "test_the_process_has_no_descriptors_and_no_variables_of_its_parent",),
    ),
    Mechanism(
        "no-variables-passed-on",
        "the host's variables, which may be secrets, from the process of a run",
        _PROCESS,
        "                env={name: os.environ[name] for name in _VARIABLES if name in os.environ},\n",
        "",
        (_RUNS + "test_the_process_has_no_descriptors_and_no_variables_of_its_parent",),
    ),
    Mechanism(
        "strict-reports",
        "the host, from what a process that was taken over says of itself",
        _REPORT,
        '        raise Forged(f"a list has at most {most} items")\n',
        "        return []\n",
        (_REPORTS + "test_what_the_child_does_not_write_is_refused",),
    ),
    Mechanism(
        "printable-reports",
        "the host's terminal, from texts of a process that was taken over",
        _REPORT,
        '    return "\\n".join(map(escaped, item.split("\\n")))\n',
        "    return item\n",
        (_REPORTS + "test_texts_do_not_command_a_terminal",),
    ),
    Mechanism(
        "required-mechanisms",
        "who relies on a mechanism, from a system that lacks it",
        "vibewasm/sandbox/child.py",
        "    return not job.required & missing.keys()\n",
        "    return True\n",
        (_RUNS + "test_nothing_runs_where_what_is_required_is_missing",),
    ),
]
