import Foundation
import MeshIdentity
import Testing

@Suite struct AtomicFileTests {
  let scratch: ScratchDirectory
  var path: String { scratch.path + "/state" }

  init() throws { scratch = try ScratchDirectory() }

  private func mode(of path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return try #require(attributes[.posixPermissions] as? NSNumber).intValue
  }

  @Test("what is written is read back, with the mode asked for and nothing left beside it")
  func roundTrip() throws {
    try AtomicFile.write("one", to: path)
    try AtomicFile.write("two", to: path, mode: 0o640)
    #expect(try AtomicFile.read(path) == Array("two".utf8))
    #expect(try mode(of: path) == 0o640)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["state"])
  }

  @Test("a short write is carried on with")
  func shortWrites() throws {
    let calls = AtomicFile.Calls(write: { write($0, $1.baseAddress, min($1.count, 3)) })
    try AtomicFile.write("0123456789", to: path, calls: calls)
    #expect(try AtomicFile.read(path) == Array("0123456789".utf8))
  }

  static let failures: [(String, AtomicFile.Calls)] = [
    (
      "write",
      AtomicFile.Calls(write: { _, _ in
        errno = ENOSPC; return -1
      })
    ),
    (
      "write, after a part",
      AtomicFile.Calls(write: {
        if $1.count < 20 {
          errno = ENOSPC
          return -1
        }
        return write($0, $1.baseAddress, 5)
      })
    ),
    (
      "fsync",
      AtomicFile.Calls(synchronize: { _ in
        errno = ENOSPC; return -1
      })
    ),
    (
      "rename",
      AtomicFile.Calls(rename: { _, _ in
        errno = ENOSPC; return -1
      })
    ),
  ]

  @Test("a full disk leaves the old state and says what to do", arguments: failures)
  func fullDisk(step: String, calls: AtomicFile.Calls) throws {
    try AtomicFile.write("old", to: path)
    let error = #expect(throws: StorageError.self) {
      try AtomicFile.write("the new and longer content", to: path, calls: calls)
    }
    #expect(try AtomicFile.read(path) == Array("old".utf8))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["state"])
    let text = try #require(error).description
    #expect(text.contains(path) && text.contains("free some space") && text.contains("untouched"))
    #expect(!text.contains("\n"))
  }

  @Test("a missing file reads as nothing, a directory as an error")
  func absent() throws {
    #expect(try AtomicFile.read(path) == nil)
    #expect(throws: StorageError.self) { try AtomicFile.read(scratch.path) }
  }

  @Test("directories are made with their parents and only for the owner")
  func directories() throws {
    let deep = scratch.path + "/a/b/c"
    try AtomicFile.makeDirectory(deep)
    try AtomicFile.makeDirectory(deep)
    #expect(try mode(of: deep) == 0o700)
    try AtomicFile.write("x", to: path)
    #expect(throws: StorageError.self) { try AtomicFile.makeDirectory(path) }
    #expect(throws: StorageError.self) { try AtomicFile.makeDirectory(path + "/below") }
  }
}
