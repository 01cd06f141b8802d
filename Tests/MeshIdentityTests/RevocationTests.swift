import Foundation
import MeshCore
import MeshIdentity
import Testing

@Suite struct RevocationTests {
  @Test("identities and serial numbers are denied in one spelling, and taken back")
  func denying() throws {
    var list = RevocationList()
    try list.deny(identity: orders.description)
    try list.deny(serial: "0x0F:A2", until: 100)
    try list.deny(serial: "abc", until: 100)
    #expect(list.identities == [orders.description])
    #expect(Set(list.serials.keys) == ["0fa2", "0abc"])
    try list.restore(serial: "FA2")
    try list.restore(identity: orders.description)
    #expect(Set(list.serials.keys) == ["0abc"] && list.identities.isEmpty)
    #expect(throws: RevocationError.notDenied("fa2")) { try list.restore(serial: "fa2") }
  }

  @Test("what is no identity and no serial number is refused", arguments: ["", "shop/web", "xyz", "0x", "https://a/b"])
  func nonsense(text: String) {
    var list = RevocationList()
    #expect(throws: RevocationError.noIdentity(text)) { try list.deny(identity: text) }
    #expect(throws: RevocationError.noSerial(text)) { try list.deny(serial: text, until: 1) }
  }

  @Test("a serial number is forgotten an hour after its certificate has ended")
  func expiry() throws {
    var list = RevocationList()
    try list.deny(serial: "01", until: 1000)
    #expect(list.expire(now: 1000 + 3599) == false)
    #expect(list.serials.count == 1)
    #expect(list.expire(now: 1000 + 3600) == true)
    #expect(list.serials.isEmpty)
  }

  @Test("there may be ten thousand and no more")
  func bounded() throws {
    var list = RevocationList()
    for number in 0..<RevocationList.maximumEntries { try list.deny(serial: String(number + 1, radix: 16), until: 1) }
    #expect(throws: RevocationError.tooMany) { try list.deny(serial: "ffffff", until: 1) }
  }

  @Test("a revocation list takes the place of its authority's last one; other PEM is refused")
  func lists() throws {
    let scratch = try ScratchDirectory()
    func list(_ authority: String) throws -> String {
      try run(
        scratch.path,
        """
        test -f \(authority).key || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=\(authority) \
          -keyout \(authority).key -out \(authority).pem -days 9
        touch index; echo 01 > number; printf '[ca]\\ndefault_ca=x\\n[x]\\ndatabase=index\\ncrlnumber=number\\n' > conf
        openssl ca -config conf -gencrl -keyfile \(authority).key -cert \(authority).pem -md sha256 -crldays 9 -out list.pem
        """)
      return String(decoding: try #require(try AtomicFile.read(scratch.path + "/list.pem")), as: UTF8.self)
    }
    var revocations = RevocationList()
    try revocations.take(crl: list("one"))
    try revocations.take(crl: list("two"))
    #expect(revocations.crls.count == 2)
    let newer = try list("one")
    try revocations.take(crl: newer)
    #expect(revocations.crls.count == 2 && revocations.crls.last?.prefix(400) == newer.prefix(400))
    for bad in [
      "", "no list", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
      String(decoding: try #require(try AtomicFile.read(scratch.path + "/one.pem")), as: UTF8.self),
    ] {
      #expect(throws: RevocationError.self) { try revocations.take(crl: bad) }
    }
    revocations.clearLists()
    #expect(revocations.isEmpty)
  }

  private func run(_ directory: String, _ script: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-ec", script]
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(text)")
  }
}

@Suite struct IssuedLogTests {
  private func entry(_ number: Int) -> IssuedLog.Entry {
    IssuedLog.Entry(
      serial: String(number, radix: 16), identity: orders.description, requester: "orders-abcde", issuer: "00ff",
      issuedAt: Int64(number), notAfter: Int64(number) + 60)
  }

  @Test("entries come back in their order, over the two files that are kept, and no more of them")
  func rotation() throws {
    let scratch = try ScratchDirectory()
    let log = IssuedLog(path: scratch.path + "/issued.log", maximumBytes: 2000)
    for number in 0..<100 { try log.append(entry(number)) }
    let entries = try log.entries()
    #expect(entries.last == entry(99))
    #expect(entries == (100 - entries.count..<100).map(entry))
    #expect((11...26).contains(entries.count), "\(entries.count)")
    for file in try FileManager.default.contentsOfDirectory(atPath: scratch.path) {
      let size = try #require(try AtomicFile.read(scratch.path + "/" + file)).count
      #expect(size <= 2000)
    }
  }

  @Test("a line that a crash has cut is left out")
  func cut() throws {
    let scratch = try ScratchDirectory()
    let path = scratch.path + "/issued.log"
    let log = IssuedLog(path: path)
    try log.append(entry(1))
    try AtomicFile.write(try #require(try AtomicFile.read(path)) + Array("{\"serial\":\"0".utf8) + [0x0A], to: path)
    try log.append(entry(2))
    #expect(try log.entries() == [entry(1), entry(2)])
  }
}
