internal import Foundation
internal import Glibc
package import MeshCore
internal import Synchronization

/// The processes of a demo and its temporary directory: starts them, notices their ends, and leaves nothing behind.
package final class DemoProcesses: Sendable {
  /// Somebody asked the demo to end.
  package struct Interrupted: Error {
    package var signal: Int32
  }

  private struct Seen {
    var signal: Int32?
    var ended: [(tag: String, status: ExitStatus)] = []
    var isStopping = false
  }

  package let directory: String
  package let state: StateDirectory
  package let manifests: String
  private let keeper: ProcessKeeper
  private let seen: SeenBox

  /// Shared with the keeper's thread; guarded by the lock.
  private final class SeenBox: Sendable {
    let value = Mutex(Seen())
  }

  package init() throws {
    // Short, because the control socket's path is limited.
    var template = Array("/tmp/apus-demo-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else {
      throw CLIFailure("cannot make a directory in /tmp: \(String(cString: strerror(errno)))", fix: "df -h /tmp")
    }
    directory = String(cString: made)
    state = StateDirectory(path: directory + "/state")
    manifests = directory + "/manifests"
    for path in [state.path, manifests, directory + "/logs"] {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
    let seen = SeenBox()
    self.seen = seen
    keeper = try ProcessKeeper(signals: [SIGINT, SIGTERM, SIGHUP]) { event in
      seen.value.withLock { seen in
        switch event {
        case .signal(let number): seen.signal = seen.signal ?? number
        case .exited(let tag, let status): seen.ended.append((tag, status))
        }
      }
    }
  }

  package func start(_ tag: String, path: String, arguments: [String]) async throws {
    let log = open(logFile(tag), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard log >= 0 else {
      throw CLIFailure("cannot write \(logFile(tag)): \(String(cString: strerror(errno)))", fix: "df -h /tmp")
    }
    defer { close(log) }
    var environment = ProcessInfo.processInfo.environment
    // A demo inside somebody's mesh or behind somebody's proxy is still only a demo.
    for name in ["http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "APUS_STATE_DIR"] { environment[name] = nil }
    do {
      _ = try await keeper.spawn(
        ProgramCommand(path: path, arguments: arguments, environment: environment, output: log, withoutInput: true),
        tag: tag)
    } catch {
      throw CLIFailure(error.description)
    }
  }

  /// Throws when a signal came or a process ended that should not have.
  package func check() throws {
    let (signal, ended) = seen.value.withLock { ($0.signal, $0.ended.first) }
    if let signal { throw Interrupted(signal: signal) }
    if let ended {
      throw CLIFailure(
        "\(ended.tag) \(ended.status)\n\(tail(ended.tag))", fix: "read its whole log with: apus demo --keep")
    }
  }

  /// Waits, checking often.
  package func pause(_ span: TimeSpan) async throws {
    let end = ContinuousClock.now.advanced(by: .nanoseconds(span.nanoseconds))
    repeat {
      try check()
      try await Task.sleep(for: .milliseconds(25))
    } while ContinuousClock.now < end
    try check()
  }

  /// The last lines a process wrote.
  package func tail(_ tag: String) -> String {
    guard let text = try? String(contentsOfFile: logFile(tag), encoding: .utf8) else { return "" }
    return text.split(separator: "\n").suffix(8).map { "    \($0)" }.joined(separator: "\n")
  }

  private func logFile(_ tag: String) -> String { "\(directory)/logs/\(tag).log" }

  // MARK: - End

  /// Ends all processes, the control plane last, and removes the directory unless it is to be kept.
  package func stop(controller: String, keep: Bool) async {
    await end(keeper.running.filter { $0 != controller })
    await end([controller])
    if keep {
      Terminal.say("kept \(directory)")
    } else {
      try? FileManager.default.removeItem(atPath: directory)
    }
  }

  private func end(_ tags: [String]) async {
    for tag in tags { keeper.send(SIGTERM, to: tag) }
    let patience = ContinuousClock.now.advanced(by: .seconds(10))
    while ContinuousClock.now < patience {
      if Set(keeper.running).isDisjoint(with: tags) { return }
      try? await Task.sleep(for: .milliseconds(20))
    }
    for tag in tags where keeper.send(SIGKILL, to: tag, group: true) {
      Terminal.say("\(tag) did not end in 10 s and was killed")
    }
    while !Set(keeper.running).isDisjoint(with: tags) { try? await Task.sleep(for: .milliseconds(20)) }
  }
}
