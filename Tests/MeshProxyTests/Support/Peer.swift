import Glibc
import MeshCore

/// What went wrong on a test's own socket.
struct SocketProblem: Error, CustomStringConvertible {
  var description: String
}

/// Makes a system call again for as long as it is interrupted: a process that was stopped for a moment, by a debugger or
/// by a machine that was, finds its blocking calls interrupted when it goes on.
func uninterrupted<Result: SignedInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result >= 0 || errno != EINTR { return result }
  }
}

/// One HTTP/1 message as a test sees it.
struct Message {
  /// Start line and fields, as they came, without the empty line.
  var head = ""
  var body: [UInt8] = []
  var trailers = ""

  var text: String { String(decoding: body, as: UTF8.self) }
  var startLine: Substring { head.prefix { $0 != "\r\n" } }
  var status: Int { Int(startLine.split(separator: " ").dropFirst().first ?? "") ?? 0 }

  var lines: [Substring] { head.split(separator: "\r\n").dropFirst().map { $0 } }

  /// The values of a field, by name in any case.
  func values(_ name: String) -> [String] {
    lines.compactMap { line in
      guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name.lowercased() else { return nil }
      return String(line[line.index(after: colon)...].drop { $0 == " " })
    }
  }

  func value(_ name: String) -> String? { values(name).first }
  var isChunked: Bool { value("transfer-encoding")?.lowercased() == "chunked" }
}

/// A blocking TCP socket of a test: client, or a connection that a scripted backend accepted.
///
/// Every call ends within 40 seconds, so that a failure is a failure and not a test that hangs.
/// `@unchecked Sendable`: used by one thread at a time.
final class Peer: @unchecked Sendable {
  let descriptor: Int32
  private var buffer: [UInt8] = []
  private var isClosed = false

  init(descriptor: Int32) {
    self.descriptor = descriptor
    var limit = timeval(tv_sec: 40, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Connects to a port on loopback.
  convenience init(port: UInt16, receiveBuffer: Int32 = 0) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if receiveBuffer > 0 {
      var size = receiveBuffer
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
    }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    guard withLoopback(port: port, { connect(descriptor, $0, $1) }) == 0 else {
      Glibc.close(descriptor)
      throw SocketProblem(description: "connect to port \(port): errno \(errno)")
    }
    self.init(descriptor: descriptor)
  }

  deinit { close() }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    Glibc.close(descriptor)
  }

  /// Closes with RST.
  func reset() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    close()
  }

  func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }

  // MARK: - Sending

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let n = bytes.withUnsafeBytes { bytes in
        uninterrupted {
          Glibc.send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
        }
      }
      guard n > 0 else { throw SocketProblem(description: "send: errno \(errno)") }
      sent += n
    }
  }

  /// Bytes that the socket takes until it has taken none for `quietMilliseconds`.
  func sendUntilBlocked(_ total: Int, quietMilliseconds: Int32 = 300) -> Int {
    let block = [UInt8](repeating: 0x61, count: 64 * 1024)
    var sent = 0
    while sent < total {
      var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      guard uninterrupted({ poll(&ready, 1, quietMilliseconds) }) == 1 else { return sent }
      let n = block.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress, min(block.count, total - sent), Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if n > 0 { sent += n } else if n < 0, errno != EAGAIN { return sent }
    }
    return sent
  }

  // MARK: - Receiving

  /// What comes next, at most 64 KiB. Empty at the end; throws for a reset or when nothing comes.
  func receive() throws -> [UInt8] {
    if !buffer.isEmpty {
      defer { buffer = [] }
      return buffer
    }
    var bytes = [UInt8](repeating: 0, count: 64 * 1024)
    let n = uninterrupted { recv(descriptor, &bytes, bytes.count, 0) }
    guard n >= 0 else { throw SocketProblem(description: "receive: errno \(errno)") }
    return Array(bytes[..<n])
  }

  private func more() throws {
    let kept = buffer
    buffer = []
    let bytes = try receive()
    buffer = kept + bytes
    if bytes.isEmpty {
      throw SocketProblem(description: "end after \(String(decoding: kept.prefix(200), as: UTF8.self))")
    }
  }

  func read(_ count: Int) throws -> [UInt8] {
    while buffer.count < count { try more() }
    defer { buffer.removeFirst(count) }
    return Array(buffer[..<count])
  }

  func readText(_ count: Int) throws -> String { String(decoding: try read(count), as: UTF8.self) }

  /// Up to and without `end`.
  func readThrough(_ end: String) throws -> String {
    let pattern = Array(end.utf8)
    while true {
      if let i = buffer.indices.first(where: { buffer[$0...].starts(with: pattern) }) {
        defer { buffer.removeFirst(i + pattern.count) }
        return String(decoding: buffer[..<i], as: UTF8.self)
      }
      try more()
    }
  }

  /// Everything until the peer closes; throws for a reset.
  func readToEnd() throws -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let bytes = try receive()
      if bytes.isEmpty { return all }
      all += bytes
    }
  }

  /// True when the peer closed, in order or with a reset; false when it sent something.
  func isCut() -> Bool { ((try? receive()) ?? []).isEmpty }

  /// One message: head, then a body as its fields say. Answers to HEAD are without one.
  func message(isAnswerToHead: Bool = false) throws -> Message {
    var message = Message()
    message.head = try readThrough("\r\n\r\n")
    if !isAnswerToHead { try readBody(of: &message) }
    return message
  }

  /// The content behind a head that was read.
  func readBody(of message: inout Message) throws {
    let status = message.head.hasPrefix("HTTP/") ? message.status : 0
    if status == 204 || status == 304 || (100..<200).contains(status) { return }
    if message.isChunked {
      while true {
        let size = Int(try readThrough("\r\n"), radix: 16) ?? -1
        guard size >= 0 else { throw SocketProblem(description: "bad chunk size") }
        if size == 0 { break }
        message.body += try read(size)
        _ = try read(2)
      }
      var lines: [String] = []
      while true {
        let line = try readThrough("\r\n")
        if line.isEmpty { break }
        lines.append(line)
      }
      message.trailers = lines.joined(separator: "\n")
    } else if let length = message.value("content-length").flatMap({ Int($0) }) {
      message.body = try read(length)
    } else if status > 0 {
      message.body = try readToEnd()
    }
  }

  /// Sends a request and reads its answer.
  func exchange(_ request: String, isHead: Bool = false) throws -> Message {
    try send(request)
    return try message(isAnswerToHead: isHead)
  }
}

func withLoopback(port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  }
}

func boundPort(_ descriptor: Int32) -> UInt16 {
  var address = sockaddr_in()
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  _ = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
  }
  return UInt16(bigEndian: address.sin_port)
}

/// A port of loopback that nobody listens on, kept from others for the life of the object.
///
/// SO_REUSEPORT lets a proxy under test listen on it all the same.
final class ReservedPort: Sendable {
  let port: UInt16
  private let descriptor: Int32

  init() {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, 4)
    _ = withLoopback(port: 0) { bind(descriptor, $0, $1) }
    self.descriptor = descriptor
    port = boundPort(descriptor)
  }

  deinit { close(descriptor) }
  var address: SocketAddress { .loopback(port: port) }
}
