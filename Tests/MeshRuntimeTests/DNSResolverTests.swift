import Glibc
import MeshCore
import MeshRuntime
import Testing

/// A DNS server on a thread of its own, which knows `host.test` (two A records and one AAAA) and `silent.test`, of which it says nothing.
private final class NameServer: Sendable {
  let address: SocketAddress
  private let descriptor: Int32

  init() {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
      }
    }
    precondition(bound)
    self.descriptor = descriptor
    address = SocketAddress(ipv4: 0x7F00_0001, port: UInt16(bigEndian: name.sin_port))
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self).toOpaque()
    pthread_create(
      &thread, nil,
      { context in
        Unmanaged<NameServer>.fromOpaque(context!).takeRetainedValue().serve()
        return nil
      }, context)
    pthread_detach(thread)
  }

  func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  private func serve() {
    var message = [UInt8](repeating: 0, count: 512)
    while true {
      var peer = sockaddr_in()
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      let count = withUnsafeMutablePointer(to: &peer) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(descriptor, &message, 512, 0, $0, &size) }
      }
      guard count > 12 else { return close() }
      guard let answer = Self.answer(to: Array(message[..<count])) else { continue }
      _ = withUnsafePointer(to: peer) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          sendto(descriptor, answer, answer.count, 0, $0, size)
        }
      }
    }
  }

  private func close() { Glibc.close(descriptor) }

  private static func answer(to question: [UInt8]) -> [UInt8]? {
    var (at, name) = (12, "")
    while question[at] != 0 {
      let length = Int(question[at])
      name += String(decoding: question[(at + 1)...(at + length)], as: UTF8.self).lowercased() + "."
      at += length + 1
    }
    if name == "silent.test." { return nil }
    let isIPv6 = question[at + 2] == 28
    var records: [[UInt8]] = []
    if name == "host.test." {
      records = isIPv6 ? [[0xFD] + Array(repeating: 0, count: 14) + [1]] : [[10, 0, 0, 1], [10, 0, 0, 2]]
    }
    let isKnown = !records.isEmpty
    var answer = Array(question[..<2]) + [0x81, isKnown ? 0x80 : 0x83, 0, 1, 0, UInt8(records.count), 0, 0, 0, 0]
    answer += question[12..<(at + 5)]
    // The AAAA record ends first.
    for record in records {
      answer += [0xC0, 12, 0, isIPv6 ? 28 : 1, 0, 1, 0, 0, 0, isIPv6 ? 30 : 60, 0, UInt8(record.count)] + record
    }
    return answer
  }
}

@Suite("The DNS", .serialized) struct DNSResolverTests {
  private func ask(_ names: String...) throws -> [String: Result<DNSAnswer, DNSFailure>] {
    let harness = try LoopHarness()
    let server = NameServer()
    defer { server.stop() }
    let resolver = try DNSResolver(loop: harness.worker, servers: [server.address])
    var answers: [String: Result<DNSAnswer, DNSFailure>] = [:]
    for name in names {
      resolver.resolve(name) { answer in
        answers[name] = answer
        if answers.count == names.count { harness.worker.stop() }
      }
    }
    withExtendedLifetime(resolver) { harness.run() }
    return answers
  }

  @Test("a name has its addresses of both families, and the TTL that ends first")
  func found() throws {
    let answer = try #require(try ask("host.test")["host.test"]).get()
    #expect(Set(answer.addresses.map(\.host)) == ["10.0.0.1", "10.0.0.2", "fd00::1"])
    #expect(answer.ttl == .seconds(30))
  }

  @Test(
    "a name that does not exist, and one of which the server says nothing, are failures; others do not wait for them")
  func failures() throws {
    let answers = try ask("silent.test", "none.test", "host.test")
    #expect(throws: DNSFailure.self) { try answers["none.test"]?.get() }
    #expect(throws: DNSFailure.self) { try answers["silent.test"]?.get() }
    #expect(try answers["host.test"]?.get().addresses.count == 3)
  }

  @Test("a resolver that goes with questions open tells nobody")
  func abandoned() throws {
    let harness = try LoopHarness()
    let server = NameServer()
    defer { server.stop() }
    var resolver: DNSResolver? = try DNSResolver(loop: harness.worker, servers: [server.address])
    var isTold = false
    resolver?.resolve("silent.test") { _ in isTold = true }
    resolver = nil
    #expect(!isTold && harness.worker.openSources == 0)
  }
}
