import Foundation
import MeshControl
import Testing

@Suite struct StateOwnerTests {
  let scratch: StateScratch

  init() throws { scratch = try StateScratch() }

  @Test("a directory that only its owner writes is good", arguments: [0o700, 0o750, 0o755])
  func good(mode: Int) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: scratch.path)
    try StateOwner.check(scratch.path)
  }

  @Test("one in which others may write is refused with advice", arguments: [0o770, 0o702, 0o777, 0o720])
  func writable(mode: Int) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: scratch.path)
    let error = #expect(throws: ControlPlaneError.self) { try StateOwner.check(scratch.path) }
    #expect(error?.description.contains("chmod 700") == true)
  }

  @Test("a controller does not start in one")
  func start() async throws {
    let manifests = scratch.path + "/manifests"
    let state = scratch.path + "/state"
    for directory in [manifests, state] {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: state)
    await #expect(throws: ControlPlaneError.self) {
      try await ControlPlane(
        options: ControlPlane.Options(manifestDirectory: manifests, stateDirectory: state), log: quietLog
      ).run(until: ShutdownSignals(numbers: []))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: state).isEmpty)
  }
}
