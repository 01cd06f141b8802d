import Glibc

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Which certificates were issued: one JSON object a line, in a file that is set aside when it is full. Two files at most, so the log
/// is bounded; it reaches the disk in the background, as a record and not as state.
package struct IssuedLog: Sendable {
  package struct Entry: Codable, Hashable, Sendable {
    /// Lower-case hexadecimal digits.
    package var serial: String
    package var identity: String
    /// The workload that asked.
    package var requester: String
    /// Key identifier of the issuer.
    package var issuer: String
    /// Unix seconds.
    package var issuedAt: Int64
    package var notAfter: Int64

    package init(
      serial: String, identity: String, requester: String, issuer: String, issuedAt: Int64, notAfter: Int64
    ) {
      self.serial = serial
      self.identity = identity
      self.requester = requester
      self.issuer = issuer
      self.issuedAt = issuedAt
      self.notAfter = notAfter
    }
  }

  /// Of one file: some 20,000 certificates.
  package static let maximumBytes = 4 << 20

  private let path: String
  private let maximumBytes: Int

  package init(path: String, maximumBytes: Int = Self.maximumBytes) {
    self.path = path
    self.maximumBytes = maximumBytes
  }

  package func append(_ entry: Entry) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let line = Array(try encoder.encode(entry)) + [0x0A]
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw StorageError(operation: "write", path: path, code: errno) }
    defer { close(descriptor) }
    if lseek(descriptor, 0, SEEK_END) + line.count > maximumBytes { return try startAnew(line) }
    try write(line, to: descriptor)
  }

  private func startAnew(_ line: [UInt8]) throws {
    guard rename(path, path + ".1") == 0 else { throw StorageError(operation: "rename", path: path, code: errno) }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw StorageError(operation: "write", path: path, code: errno) }
    defer { close(descriptor) }
    try write(line, to: descriptor)
  }

  /// One call: lines of two writers do not mix, and a crash leaves at most one that is cut.
  private func write(_ line: [UInt8], to descriptor: Int32) throws {
    let count = line.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    guard count == line.count else {
      throw StorageError(operation: "write", path: path, code: count < 0 ? errno : ENOSPC)
    }
  }

  /// The oldest first. A line that a crash or a full disk has cut is left out.
  package func entries() throws -> [Entry] {
    let decoder = JSONDecoder()
    return try [path + ".1", path].flatMap { file in
      (try AtomicFile.read(file) ?? []).split(separator: 0x0A).compactMap {
        try? decoder.decode(Entry.self, from: Data($0))
      }
    }
  }
}
