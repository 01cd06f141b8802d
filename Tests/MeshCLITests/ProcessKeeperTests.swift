import Testing

@testable import MeshCLI

/// One keeper for the whole process: it owns SIGCHLD.
private struct Harness: Sendable {
  static let shared: Harness? = try? Harness()

  let keeper: ProcessKeeper
  let events: AsyncStream<ProcessKeeper.Event>

  init() throws {
    let (events, post) = AsyncStream<ProcessKeeper.Event>.makeStream()
    self.events = events
    keeper = try ProcessKeeper(signals: []) { post.yield($0) }
  }

  /// Starts a shell script and waits for its end.
  func end(of script: String, tag: String, signal: Int32? = nil) async throws -> MeshCLI.ExitStatus? {
    let command = ProgramCommand(
      path: "/bin/sh", arguments: ["sh", "-c", script], environment: ["GREETING": "hello"], withoutInput: true)
    _ = try await keeper.spawn(command, tag: tag)
    if let signal { keeper.send(signal, to: tag) }
    for await event in events {
      if case .exited(tag, let status) = event { return status }
    }
    return nil
  }
}

@Suite(.serialized) struct ProcessKeeperTests {
  @Test("exit codes and killing signals are exact")
  func statuses() async throws {
    let harness = try #require(Harness.shared)
    #expect(try await harness.end(of: "exit 0", tag: "a") == .code(0))
    #expect(try await harness.end(of: "exit 255", tag: "b") == .code(255))
    #expect(try await harness.end(of: "kill -SEGV $$", tag: "c") == .signal(11))
    #expect(try await harness.end(of: "while :; do :; done", tag: "d", signal: 15) == .signal(15))
    #expect(harness.keeper.running.isEmpty)
    #expect(!harness.keeper.send(15, to: "d"))
  }

  @Test("the environment is exactly the given one, input is empty, and the program leads its process group")
  func surroundings() async throws {
    let harness = try #require(Harness.shared)
    let script = """
      [ "$GREETING" = hello ] || exit 1
      [ -z "$HOME" ] || exit 2
      read line && exit 3
      set -- $(cat /proc/self/stat)
      [ "$5" = "$$" ] || exit 4
      exit 9
      """
    #expect(try await harness.end(of: script, tag: "e") == .code(9))
  }

  @Test("a program that cannot be executed is an error with the shell's code, not an exit")
  func notExecutable() async throws {
    let harness = try #require(Harness.shared)
    let command = ProgramCommand(path: "/", arguments: ["x"], environment: [:])
    await #expect(throws: SpawnFailure(program: "/", code: 13)) {
      _ = try await harness.keeper.spawn(command, tag: "f")
    }
    #expect(SpawnFailure(program: "x", code: 13).exitCode == 126)
    #expect(throws: SpawnFailure(program: "no-such-program", code: 2)) {
      try Executables.find("no-such-program", path: "/bin:/usr/bin")
    }
    #expect(SpawnFailure(program: "x", code: 2).exitCode == 127)
    #expect(try Executables.find("sh", path: "/nowhere:/bin") == "/bin/sh")
  }
}
