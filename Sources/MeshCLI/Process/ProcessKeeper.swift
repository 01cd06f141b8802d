internal import CProcess
internal import Glibc
internal import Synchronization

/// Owns every child process and the process's signals, on one thread of its own.
///
/// The thread matters: the kernel kills our children (PR_SET_PDEATHSIG) when the *thread* that started them ends, and
/// threads of the concurrency pool come and go. State is guarded by `state`'s lock; children are reaped only on the
/// thread, under the lock, so a signal never goes to a process id that has been reused.
package final class ProcessKeeper: Sendable {
  package enum Event: Hashable, Sendable {
    case signal(Int32)
    /// The child started under this tag ended.
    case exited(String, ExitStatus)
  }

  private struct State {
    var requests: [Request] = []
    var children: [pid_t: String] = [:]
  }

  private struct Request: Sendable {
    var tag: String
    var command: ProgramCommand
    var reply: CheckedContinuation<Result<pid_t, SpawnFailure>, Never>
  }

  private let state = Mutex(State())
  private let wakeRead: Int32
  private let wakeWrite: Int32
  private let report: @Sendable (Event) -> Void

  /// Catches `signals` and tells `report` of them and of children's ends, on the keeper's thread. One per process.
  package init(signals: [Int32], report: @escaping @Sendable (Event) -> Void) throws {
    var ends: [Int32] = [-1, -1]
    guard cprocess_pipe(&ends) == 0 else {
      throw CLIFailure("cannot make a pipe: \(String(cString: strerror(errno)))", fix: "raise ulimit -n")
    }
    wakeRead = ends[0]
    wakeWrite = ends[1]
    self.report = report
    for signal in signals + [SIGCHLD] { _ = cprocess_catch(signal, wakeWrite) }
    // tcsetpgrp from the background would stop us otherwise.
    signal(SIGTTOU, SIG_IGN)
    var thread = pthread_t()
    let box = Unmanaged.passRetained(self)
    let error = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ProcessKeeper>.fromOpaque(argument).takeRetainedValue().loop()
        return nil
      }, box.toOpaque())
    guard error == 0 else {
      box.release()
      throw CLIFailure("cannot start a thread: \(String(cString: strerror(error)))", fix: "raise ulimit -u")
    }
  }

  /// Starts a program in a process group of its own; its end is reported under `tag`.
  package func spawn(_ command: ProgramCommand, tag: String) async throws(SpawnFailure) -> Int32 {
    let result = await withCheckedContinuation { reply in
      state.withLock { $0.requests.append(Request(tag: tag, command: command, reply: reply)) }
      wake()
    }
    return try result.get()
  }

  /// Sends a signal to the child with this tag. False when it is not running.
  @discardableResult
  package func send(_ signal: Int32, to tag: String, group: Bool = false) -> Bool {
    state.withLock { state in
      guard let pid = state.children.first(where: { $0.value == tag })?.key else { return false }
      return kill(group ? -pid : pid, signal) == 0
    }
  }

  package var running: [String] { state.withLock { Array($0.children.values) } }

  // MARK: - The keeper's thread

  private func wake() {
    var byte: UInt8 = 0
    _ = write(wakeWrite, &byte, 1)
  }

  private func loop() {
    while true {
      var wait = pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0)
      _ = poll(&wait, 1, -1)
      var bytes = [UInt8](repeating: 0, count: 64)
      let count = read(wakeRead, &bytes, bytes.count)
      for byte in bytes.prefix(max(count, 0)) where byte != 0 && byte != UInt8(SIGCHLD) {
        report(.signal(Int32(byte)))
      }
      startRequested()
      reap()
    }
  }

  private func startRequested() {
    let requests = state.withLock { state in
      defer { state.requests.removeAll() }
      return state.requests
    }
    for request in requests {
      let result = start(request.command)
      if case .success(let pid) = result { state.withLock { $0.children[pid] = request.tag } }
      request.reply.resume(returning: result)
    }
  }

  private func start(_ command: ProgramCommand) -> Result<pid_t, SpawnFailure> {
    var arguments: [UnsafeMutablePointer<CChar>?] = command.arguments.map { strdup($0) } + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] =
      command.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in arguments + environment { free(pointer) } }
    var pid: pid_t = 0
    let flags = CPROCESS_OWN_GROUP | (command.withoutInput ? CPROCESS_STDIN_NULL : 0)
    let error = cprocess_spawn(command.path, &arguments, &environment, flags, command.output ?? -1, &pid)
    return error == 0 ? .success(pid) : .failure(SpawnFailure(program: command.path, code: error))
  }

  private func reap() {
    let ended: [Event] = state.withLock { state in
      var ended: [Event] = []
      for (pid, tag) in state.children {
        var kind: Int32 = 0
        var value: Int32 = 0
        let result = cprocess_wait(pid, &kind, &value)
        if result == 0 { continue }
        if result == pid, kind == 2 {
          lendTerminal(to: pid, after: value)
          continue
        }
        state.children[pid] = nil
        takeTerminalBack(from: pid)
        // What the program left running in its group ends with it, as in a container.
        kill(-pid, SIGKILL)
        ended.append(.exited(tag, kind == 1 ? .signal(value) : .code(value)))
      }
      return ended
    }
    for event in ended { report(event) }
  }

  // MARK: - Terminal

  /// A program in a group of its own is stopped when it reads the terminal. Reading means it wants people's input,
  /// so it gets the terminal (and with it Ctrl-C) if that was ours to give; servers never get here.
  private func lendTerminal(to pid: pid_t, after signal: Int32) {
    guard signal == SIGTTIN || signal == SIGTTOU, tcgetpgrp(STDIN_FILENO) == getpgrp() else { return }
    tcsetpgrp(STDIN_FILENO, pid)
    kill(-pid, SIGCONT)
  }

  private func takeTerminalBack(from pid: pid_t) {
    if tcgetpgrp(STDIN_FILENO) == pid { tcsetpgrp(STDIN_FILENO, getpgrp()) }
  }
}
