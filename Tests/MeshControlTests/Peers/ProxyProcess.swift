import Foundation

/// `apus-proxy --forward` in front of a server that speaks HTTP/2, as a process of its own.
final class ProxyProcess {
  let port: Int
  private let process = Process()
  /// Kept open: the proxy must be able to write its last words.
  private let messages = Pipe()

  /// Returns once the proxy says that it listens; throws when it ends before.
  init(upstream: Int) throws {
    port = try Self.freePort()
    process.executableURL = Self.program
    process.arguments = [
      "--forward", "127.0.0.1:\(port)=127.0.0.1:\(upstream)", "--forward-protocol", "http2", "--workers", "1",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardError = messages
    try process.run()
    var said = ""
    while !said.contains("listening on") {
      let more = messages.fileHandleForReading.availableData
      guard !more.isEmpty else { throw CocoaError(.executableLoad) }
      said += String(decoding: more, as: UTF8.self)
    }
  }

  func stop() {
    process.terminate()
    process.waitUntilExit()
  }

  /// Built beside the tests, or where the end-to-end tests take it from.
  private static var program: URL {
    if let directory = ProcessInfo.processInfo.environment["APUS_BIN_DIR"] {
      return URL(fileURLWithPath: directory).appendingPathComponent("apus-proxy")
    }
    return URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appendingPathComponent("apus-proxy")
  }

  /// A port that nobody listens on now.
  static func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isBound else { throw POSIXError(.EADDRINUSE) }
    return Int(in_port_t(bigEndian: address.sin_port))
  }
}
