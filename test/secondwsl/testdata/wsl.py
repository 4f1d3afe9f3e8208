"""A second, tiny wsl.exe, written only from docs/wsl-facts.md and the facts behind it.

It knows nothing of wslsim and shares no line with it: what the product does
with both, it does because of the facts. State lies in the folder of the
program: distros.txt (name, home; the first one is the default) and run/, one
file per running program with its session's id. No idle stop, no faults.
"""
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios

HERE = os.path.dirname(os.path.abspath(sys.argv[0]))
OWN_FAILURE = 255  # -1 in the eight bits that Unix carries


def distros():
    with open(os.path.join(HERE, "distros.txt"), encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f if line.strip()]


def say(text):
    """wsl.exe's own words: UTF-16LE and CRLF, or UTF-8 when WSL_UTF8 is exactly 1."""
    utf8 = os.environ.get("WSL_UTF8") == "1"
    os.write(1, text.replace("\n", "\r\n").encode("utf-8" if utf8 else "utf-16-le"))


def fail(text, code):
    say(text + "\nError code: " + code + "\n")
    return OWN_FAILURE


def sessions(name):
    """Session ids of the programs that run in a distro."""
    folder = os.path.join(HERE, "run")
    found = []
    for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        distro, _, pid = entry.rpartition(".")
        if distro != name:
            continue
        try:
            os.kill(int(pid), 0)
            found.append(int(pid))
        except ProcessLookupError:
            os.unlink(os.path.join(folder, entry))
    return found


def terminate(name):
    for sid in sessions(name):
        # All that is in the session; what left it is out of this little program's reach.
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                if os.getsid(int(entry)) == sid:
                    os.kill(int(entry), signal.SIGKILL)
            except ProcessLookupError:
                pass


def list_verbose():
    known = distros()
    if not known:
        say("Windows Subsystem for Linux has no installed distributions.\n")
        return OWN_FAILURE
    width = max(len(name) for name, _ in known + [["NAME", ""]]) + 4
    out = "  " + "NAME".ljust(width) + "STATE".ljust(16) + "VERSION\n"
    for i, (name, _) in enumerate(known):
        state = "Running" if sessions(name) else "Stopped"
        out += ("* " if i == 0 else "  ") + name.ljust(width) + state.ljust(16) + "2\n"
    say(out)
    return 0


def environment(name, home):
    shared = {v.partition("/")[0] for v in os.environ.get("WSLENV", "").split(":") if v}
    env = {
        "HOSTTYPE": "x86_64", "LANG": "en_US.UTF-8", "TERM": "xterm-256color", "NAME": "second",
        "PATH": os.path.join(HERE, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/wsl/lib",
        "HOME": home, "USER": "dev", "LOGNAME": "dev", "SHELL": "/bin/sh",
        "WSL_DISTRO_NAME": name, "WSL_INTEROP": "/run/WSL/1_interop", "WSLENV": os.environ.get("WSLENV", ""),
    }
    env.update({v: os.environ.get(v, "") for v in shared})
    return env


def launch(name, home, argv):
    """Relay one program: a pty as its terminal, pipes as its streams, 4096 bytes at a time.

    Only this process holds the pty's other end, so that when it is killed the
    kernel sends SIGHUP and the pipes break, and nothing else happens.
    """
    ends = [os.pipe() for _ in range(3)]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        os.dup2(ends[0][0], 0)
        os.dup2(ends[1][1], 1)
        os.dup2(ends[2][1], 2)
        os.closerange(3, 1024)
        env = environment(name, home)
        os.chdir(home)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            os.execvpe(argv[0], argv, env)
        except OSError as e:
            os.write(2, ("<3>WSL ERROR: execvpe(%s) failed: %s\n" % (argv[0], os.strerror(e.errno))).encode())
        os._exit(1)
    for fd in (slave, ends[0][0], ends[1][1], ends[2][1]):
        os.close(fd)
    mark = os.path.join(HERE, "run", "%s.%d" % (name, pid))
    os.makedirs(os.path.dirname(mark), exist_ok=True)
    open(mark, "w").close()
    stdin = ends[0][1]
    os.set_blocking(stdin, False)
    readers = {0: None, ends[1][0]: 1, ends[2][0]: 2, master: None}
    pending = b""
    eof = False
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ended = None
    while True:
        if ended is None:
            got, status = os.waitpid(pid, os.WNOHANG)
            if got:
                ended = status
        # After the end only what lies in the output pipes is still delivered.
        wanted = [ends[1][0], ends[2][0]] if ended is not None else list(readers)
        wanted = [fd for fd in wanted if fd in readers and not (fd == 0 and len(pending) > 1 << 20)]
        wait = 0 if ended is not None else None
        ready, room, _ = select.select(wanted + [wake], [stdin] if pending and stdin >= 0 else [], [], wait)
        if ended is not None and not [fd for fd in ready if fd != wake]:
            break
        for fd in ready:
            try:
                data = os.read(fd, 4096)
            except OSError as e:
                if e.errno != errno.EIO:
                    raise
                data = b""
            if fd in (wake, master) and data:
                continue
            if not data:
                readers.pop(fd, None)
                eof = eof or fd == 0
            elif fd == 0:
                pending += data
            else:
                while data:
                    data = data[os.write(readers[fd], data):]
        if stdin >= 0 and pending and room:
            try:
                pending = pending[os.write(stdin, pending):]
            except BrokenPipeError:
                os.close(stdin)
                stdin, pending = -1, b""
        if stdin >= 0 and eof and not pending:
            os.close(stdin)
            stdin = -1
        if stdin < 0:
            pending = b""
    os.unlink(mark)
    if os.WIFSIGNALED(ended):
        # A terminated distro is a lost channel, 1; any other death shows its signal.
        return 1 if os.WTERMSIG(ended) == signal.SIGKILL else os.WTERMSIG(ended)
    return os.WEXITSTATUS(ended)


def main(args):
    if args == ["--list", "--verbose"]:
        return list_verbose()
    if args == ["--version"]:
        say("WSL version: 2.6.3.0\nKernel version: 6.6.87.2-1\n")
        return 0
    if args == ["--status"]:
        say("Default Version: 2\n")
        return 0
    if args == ["--shutdown"]:
        for name, _ in distros():
            terminate(name)
        return 0
    if len(args) == 2 and args[0] == "--terminate":
        for name, _ in distros():
            if name.lower() == args[1].lower():
                terminate(name)
                say("The operation completed successfully. \n")
                return 0
        return fail("There is no distribution with the supplied name.", "Wsl/Service/WSL_E_DISTRO_NOT_FOUND")
    if len(args) > 5 and args[0] == "-d" and args[2:5] == ["--cd", "~", "--exec"]:
        for name, home in distros():
            if name.lower() == args[1].lower():
                return launch(name, home, args[5:])
        return fail("There is no distribution with the supplied name.", "Wsl/Service/WSL_E_DISTRO_NOT_FOUND")
    say("Invalid command line argument: %s\nPlease use 'wsl.exe --help' to get a list of supported arguments.\n" % " ".join(args[:1]))
    return OWN_FAILURE


sys.exit(main(sys.argv[1:]))
