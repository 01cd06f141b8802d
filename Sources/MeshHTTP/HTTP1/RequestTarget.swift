import MeshCore

/// The parts of a request target (RFC 9112, section 3.2) as ranges of the head, until they go into a `MessageHead`.
struct RequestTarget {
  enum Form { case origin, absolute, authority, asterisk }

  private(set) var form = Form.origin
  private var path = MessageHead.Slice.empty
  private var authority = MessageHead.Slice.empty

  /// Reads `line[start..<end]`, which is not empty and holds only visible ASCII without `#`.
  mutating func parse(_ line: UnsafeRawBufferPointer, start: Int, end: Int, method: Method) -> HTTP1Error? {
    if method == .connect {
      form = .authority
      authority = .init(offset: start, length: end &- start)
      return Self.isAuthority(line.slice(start, end &- start), needsPort: true) ? nil : .invalidTarget
    }
    if line[start] == 0x2F {
      path = .init(offset: start, length: end &- start)
      return nil
    }
    if end &- start == 1, line[start] == 0x2A, method == .options {
      form = .asterisk
      path = .init(offset: start, length: 1)
      return nil
    }
    guard end &- start > 7, line.slice(start, 7).equalsIgnoringCase("http://") else { return .invalidTarget }
    form = .absolute
    let host = start &+ 7
    var slash = host
    while slash < end, line[slash] != 0x2F, line[slash] != 0x3F { slash &+= 1 }
    guard slash > host, Self.isAuthority(line.slice(host, slash &- host), needsPort: false) else {
      return .invalidTarget
    }
    authority = .init(offset: host, length: slash &- host)
    path = .init(offset: slash, length: end &- slash)
    return nil
  }

  /// Writes the target's parts into `head`, whose store begins with the bytes that were parsed.
  func store(in head: MessageHead) {
    head.authority = authority
    head.path = path
    guard form == .absolute else { return }
    head.scheme = head.intern("http")
    if path.isEmpty {
      // RFC 9112, section 3.2.4: OPTIONS without a path asks the server as a whole.
      head.path = head.intern(head.method == .options ? "*" : "/")
    } else if head.bytes(path)[0] == 0x3F {
      let slash = head.intern("/")
      head.intern(head.bytes(path))
      head.path = .init(offset: Int(slash.offset), length: Int(path.length) &+ 1)
    }
  }

  /// `uri-host [":" port]` of RFC 3986 without user information; a port is 1 to 65535.
  static func isAuthority(_ bytes: UnsafeRawBufferPointer, needsPort: Bool) -> Bool {
    var i = 0
    if bytes.count > 0, bytes[0] == 0x5B {
      i = 1
      while i < bytes.count, bytes[i].hexValue != nil || bytes[i] == 0x3A || bytes[i] == 0x2E { i &+= 1 }
      guard i > 1, i < bytes.count, bytes[i] == 0x5D else { return false }
      i &+= 1
    } else {
      while i < bytes.count, bytes[i].isHostByte { i &+= 1 }
      guard i > 0 else { return false }
    }
    if i == bytes.count { return !needsPort }
    guard bytes[i] == 0x3A, (2...6).contains(bytes.count &- i) else { return false }
    var port = 0
    for j in (i &+ 1)..<bytes.count {
      guard bytes[j].isDigit else { return false }
      port = port &* 10 &+ Int(bytes[j] &- 0x30)
    }
    return port > 0 && port <= 65535
  }
}
