package import MeshCore
import MeshIdentity

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Which workload name has which loopback address, living or not, with the hash of its last join token: the content
/// of `addresses.json`. A restarted workload finds its address again, and after a restart of the controller a
/// workload that kept running proves its claim.
package struct AddressBook: Hashable, Sendable {
  package struct Entry: Hashable, Sendable, Codable {
    package var address: String
    package var namespace: String
    package var serviceAccount: String
    package var tokenHash: String
    /// Unix seconds of the last registration.
    package var registered: Int64
    /// `Attestation.source` of what joined without access to the control socket; nil for the owner's own.
    package var joinedBy: String?

    package init(
      address: String, namespace: String, serviceAccount: String, tokenHash: String, registered: Int64,
      joinedBy: String? = nil
    ) {
      self.address = address
      self.namespace = namespace
      self.serviceAccount = serviceAccount
      self.tokenHash = tokenHash
      self.registered = registered
      self.joinedBy = joinedBy
    }
  }

  /// Names remembered; beyond it the longest unused are forgotten.
  package static let maximumEntries = 8_192
  /// The first and last address handed out. 127.66.0.1 is the controller's.
  package static let addresses: ClosedRange<UInt32> = 0x7F42_0002...0x7F42_FFFE

  package private(set) var entries: [String: Entry] = [:]

  package init() {}

  package subscript(name: String) -> Entry? { entries[name] }

  package func address(of name: String) -> SocketAddress? {
    guard let text = entries[name]?.address, let address = SocketAddress(text, defaultPort: 0), address.isIPv4,
      Self.addresses.contains(address.ipv4)
    else { return nil }
    return address
  }

  package mutating func record(_ entry: Entry, for name: String, living: Set<String>) {
    entries[name] = entry
    guard entries.count > Self.maximumEntries else { return }
    // Those that joined go first: whoever joins again and again forgets nobody's address but its own.
    let oldest = entries.filter { !living.contains($0.key) && $0.key != name }
      .min { $0.value.rank($0.key) < $1.value.rank($1.key) }
    if let oldest { entries[oldest.key] = nil }
  }

  /// Ends the claims of what joined by a source: they hold nothing that opens anything. Says whose.
  package mutating func endClaims(joinedBy source: String) -> [String] {
    let names = entries.filter { $0.value.joinedBy == source }.map(\.key).sorted()
    for name in names { entries[name]?.tokenHash = "" }
    return names
  }

  /// The lowest address that no name has and that `isFree` agrees to; when every one is somebody's, one that no living
  /// workload has.
  package func freeAddress(living: Set<String>, isFree: (SocketAddress) -> Bool) -> SocketAddress? {
    let taken = Set(entries.keys.compactMap { address(of: $0)?.ipv4 })
    // Probing opens sockets, so it is bounded; a machine with this many foreign users of the range has other troubles.
    var probes = 1_024
    for candidate in Self.addresses where !taken.contains(candidate) && Self.isHost(candidate) {
      let address = SocketAddress(ipv4: candidate, port: 0)
      if isFree(address) { return address }
      probes -= 1
      if probes == 0 { break }
    }
    let abandoned = entries.keys.filter { !living.contains($0) }.compactMap { address(of: $0)?.ipv4 }.sorted()
    return abandoned.prefix(1_024).lazy.map { SocketAddress(ipv4: $0, port: 0) }.first(where: isFree)
  }

  /// Nothing ends in 0 or 255, which people read as network and broadcast addresses.
  private static func isHost(_ address: UInt32) -> Bool { (1...254).contains(address & 0xFF) }

  // MARK: - File

  private struct File: Codable {
    var version = 1
    var workloads: [String: Entry]
  }

  package init(json: [UInt8]) throws {
    entries = try JSONDecoder().decode(File.self, from: Data(json)).workloads
  }

  package func json() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return Array(try encoder.encode(File(workloads: entries))) + [0x0A]
  }
}

extension AddressBook.Entry {
  /// The lowest is forgotten first.
  fileprivate func rank(_ name: String) -> (Int, Int64, String) { (joinedBy == nil ? 1 : 0, registered, name) }
}
