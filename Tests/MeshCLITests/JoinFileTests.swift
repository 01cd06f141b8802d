import Foundation
import MeshAPI
import MeshCLI
import MeshCore
import SwiftProtobuf
import Testing

@Suite struct JoinFileTests {
  let file = JoinFile(
    token: "apus1.k7w2bxqd.secret", controller: "127.66.0.1:15010", trustDomain: "cluster.local", trustAnchorsPEM: "PEM"
  )

  /// Runs `body` with a file of this content and mode.
  func with(_ text: String, mode: Int = 0o600, _ body: (String) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "apus-join-\(UUID().uuidString)"
    #expect(FileManager.default.createFile(atPath: path, contents: Data(text.utf8)))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
  }

  @Test("what create prints, run reads")
  func roundTrip() throws {
    try with(try file.text()) { path in
      let read = try JoinFile.read(path)
      #expect(read == file)
      #expect(read.address?.description == "127.66.0.1:15010")
    }
  }

  @Test("a file that others may read is refused", arguments: [0o644, 0o640, 0o604, 0o610, 0o666])
  func mode(bits: Int) throws {
    try with(try file.text(), mode: bits) { path in
      let failure = #expect(throws: CLIFailure.self) { try JoinFile.read(path) }
      #expect(failure?.fix?.contains("chmod 600") == true)
    }
  }

  @Test(
    "a credential that systemd passes on is private, the same mode elsewhere is not",
    arguments: [
      (0o600, 1_000, 1_000, true), (0o400, 0, 0, true), (0o440, 0, 1_000, true), (0o440, 0, 0, false),
      (0o440, 1_000, 1_000, false), (0o444, 0, 1_000, false), (0o460, 0, 1_000, false),
    ] as [(UInt32, UInt32, UInt32, Bool)])
  func credentials(permissions: UInt32, owner: UInt32, user: UInt32, isPrivate: Bool) {
    #expect(JoinFile.isPrivate(permissions, owner: owner, user: user) == isPrivate)
  }

  @Test("a file that holds no join token is refused", arguments: ["", "{}", "apus1.k7w2bxqd.secret", "[1]"])
  func content(text: String) throws {
    try with(text) { path in #expect(throws: CLIFailure.self) { try JoinFile.read(path) } }
    #expect(throws: CLIFailure.self) { try JoinFile.read("/no/such/file") }
    #expect(throws: CLIFailure.self) { try JoinFile.read("/dev/null") }
  }

  @Test("a controller that is no address is refused")
  func controller() throws {
    var other = file
    other.controller = "elsewhere"
    try with(try other.text()) { path in #expect(throws: CLIFailure.self) { try JoinFile.read(path) } }
  }

  @Test(
    "times of tokens",
    arguments: [
      ("90s", 90), ("10m", 600), ("1h", 3_600), ("30d", 2_592_000), ("0s", 0), ("", nil), ("h", nil), ("1", nil),
      ("1w", nil), ("-1h", nil), ("1.5h", nil), ("99999999999999999d", nil),
    ] as [(String, Int64?)])
  func times(text: String, seconds: Int64?) {
    #expect(TimeText.seconds(text) == seconds)
  }

  @Test("the list shows what a token is good for, and for how long")
  func table() {
    let row = JoinTokenRow(
      .with {
        $0.id = "k7w2bxqd"
        $0.state = "active"
        $0.namespace = "shop"
        $0.serviceAccount = "web"
        $0.service = "web"
        $0.labels = ["version": "v1"]
        $0.used = 1
        $0.expires = 1_000
        $0.workloads = ["web-bcdfg"]
      })
    #expect(
      JoinTokenRow.table([row], now: 400)
        == """
        ID        STATE   SERVICE ACCOUNT  SERVICE  LABELS       USES  EXPIRES    WORKLOADS
        k7w2bxqd  active  shop/web         web      version=v1  1/any  in 10m00s  web-bcdfg

        """)
    #expect(JoinTokenRow.table([], now: 0).contains("apus identity token create"))
  }
}
