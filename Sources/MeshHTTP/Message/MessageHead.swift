import MeshCore

/// The head of one HTTP request or response, the same for HTTP/1 and HTTP/2.
///
/// Names and values are ranges into one byte store that the head owns; common names carry a `HeaderToken`.
/// A head is made once and reused (`reset`) for message after message, so a steady connection allocates nothing.
/// Pointers it gives out are valid until the next mutation. Confined to one worker loop.
/// `Transfer-Encoding`, `Content-Length` and hop-by-hop fields are in the list as received; engines interpret and rewrite them.
package final class MessageHead {
  /// A range of the byte store.
  package struct Slice {
    package var offset: UInt32
    package var length: UInt32

    @inlinable package init(offset: Int, length: Int) {
      self.offset = UInt32(truncatingIfNeeded: offset)
      self.length = UInt32(truncatingIfNeeded: length)
    }

    package static let empty = Slice(offset: 0, length: 0)
    @inlinable package var isEmpty: Bool { length == 0 }
  }

  /// One field line. A removed field stays in place with `isRemoved` set and is skipped by every reader.
  package struct Field {
    package var name: Slice
    package var value: Slice
    package var token: HeaderToken
    package var isRemoved = false
    /// Must not enter a compression table (RFC 7541, section 7.1.3).
    package var isNeverIndexed = false

    @inlinable package init(name: Slice, value: Slice, token: HeaderToken) {
      self.name = name
      self.value = value
      self.token = token
    }
  }

  /// Version of the connection the message came by.
  package enum Version: UInt8, Sendable { case http10, http11, http2 }

  // One loop owns a head and no access outlives a call, so the run-time exclusivity checks, 40 % of a head's parsing,
  // would find nothing.
  @exclusivity(unchecked) package var version = Version.http11

  // Request line or pseudo-header fields.
  @exclusivity(unchecked) package var method = Method.get
  /// The method's own bytes; set when `method` is `.other`.
  @exclusivity(unchecked) package var methodBytes = Slice.empty
  /// Origin-form path with query, or `*`. Empty for CONNECT.
  @exclusivity(unchecked) package var path = Slice.empty
  /// Host and optional port: `:authority`, the absolute-form authority, or the `Host` field. Empty if none was sent.
  @exclusivity(unchecked) package var authority = Slice.empty
  /// `http` or `https`. Empty when an origin-form request did not say.
  @exclusivity(unchecked) package var scheme = Slice.empty
  /// RFC 8441 `:protocol`. Empty if absent.
  @exclusivity(unchecked) package var connectProtocol = Slice.empty
  /// Response status code, 0 in a request.
  @exclusivity(unchecked) package var status: UInt16 = 0

  @exclusivity(unchecked) package private(set) var fields: [Field] = []

  @exclusivity(unchecked) @usableFromInline var store: UnsafeMutableRawPointer
  @exclusivity(unchecked) @usableFromInline var storeCapacity: Int
  @exclusivity(unchecked) @usableFromInline var storeCount = 0

  package init(capacity: Int = 1024) {
    store = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    storeCapacity = capacity
    fields.reserveCapacity(24)
  }

  deinit { store.deallocate() }

  /// Empties the head for the next message and keeps its memory.
  package func reset() {
    version = .http11
    method = .get
    methodBytes = .empty
    path = .empty
    authority = .empty
    scheme = .empty
    connectProtocol = .empty
    status = 0
    storeCount = 0
    fields.removeAll(keepingCapacity: true)
  }

  /// Bytes held; what header limits count together with 32 per field (RFC 9113, section 6.5.2).
  package var byteCount: Int { storeCount }

  // MARK: - Reading

  @inlinable package func bytes(_ slice: Slice) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: store + Int(slice.offset), count: Int(slice.length))
  }

  /// The value of the first live field with `token`.
  package func value(_ token: HeaderToken) -> UnsafeRawBufferPointer? {
    for field in fields where field.token == token && !field.isRemoved { return bytes(field.value) }
    return nil
  }

  package func contains(_ token: HeaderToken) -> Bool {
    for field in fields where field.token == token && !field.isRemoved { return true }
    return false
  }

  /// The value of the first live field called `name`, whatever its letter case.
  package func value(named name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    let token = HeaderToken.lookup(name)
    if token != .other { return value(token) }
    for field in fields where field.token == .other && !field.isRemoved {
      if bytes(field.name).equalsIgnoringCase(name) { return bytes(field.value) }
    }
    return nil
  }

  /// For tests, filters and people; allocates.
  package func value(named name: String) -> String? {
    var name = name
    return name.withUTF8 { value(named: UnsafeRawBufferPointer($0))?.string }
  }

  // MARK: - Writing

  /// Copies `bytes` into the store.
  @discardableResult
  package func intern(_ source: UnsafeRawBufferPointer) -> Slice {
    guard let from = source.baseAddress, source.count > 0 else { return .empty }
    if storeCapacity &- storeCount < source.count {
      // `source` may lie inside the store itself: copy before the old block goes away.
      let capacity = max(storeCapacity * 2, storeCount + source.count)
      let bigger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
      bigger.copyMemory(from: store, byteCount: storeCount)
      (bigger + storeCount).copyMemory(from: from, byteCount: source.count)
      store.deallocate()
      store = bigger
      storeCapacity = capacity
    } else {
      (store + storeCount).copyMemory(from: from, byteCount: source.count)
    }
    defer { storeCount &+= source.count }
    return Slice(offset: storeCount, length: source.count)
  }

  @discardableResult
  package func intern(_ literal: StaticString) -> Slice {
    intern(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }

  @discardableResult
  package func intern(string: String) -> Slice {
    var string = string
    return string.withUTF8 { intern(UnsafeRawBufferPointer($0)) }
  }

  /// Appends a field whose name and value are already in the store.
  package func append(_ field: Field) { fields.append(field) }

  /// Appends a field; an `other` name is kept in the letter case given.
  package func append(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    let name = intern(name)
    let token = HeaderToken.lookup(bytes(name))
    fields.append(Field(name: name, value: intern(value), token: token))
  }

  package func append(_ token: HeaderToken, _ value: UnsafeRawBufferPointer) {
    fields.append(Field(name: intern(token.name), value: intern(value), token: token))
  }

  package func append(_ token: HeaderToken, _ value: StaticString) {
    fields.append(Field(name: intern(token.name), value: intern(value), token: token))
  }

  package func append(_ token: HeaderToken, number: Int) {
    let name = intern(token.name)
    let value = withDecimal(number) { intern($0) }
    fields.append(Field(name: name, value: value, token: token))
  }

  package func append(name: String, value: String) {
    let name = intern(string: name)
    let token = HeaderToken.lookup(bytes(name))
    fields.append(Field(name: name, value: intern(string: value), token: token))
  }

  package func remove(_ token: HeaderToken) {
    for i in fields.indices where fields[i].token == token { fields[i].isRemoved = true }
  }

  package func remove(named name: UnsafeRawBufferPointer) {
    let token = HeaderToken.lookup(name)
    if token != .other { return remove(token) }
    for i in fields.indices where fields[i].token == .other {
      if bytes(fields[i].name).equalsIgnoringCase(name) { fields[i].isRemoved = true }
    }
  }

  package func removeField(at index: Int) { fields[index].isRemoved = true }

  /// Makes this head a copy of `other`, reusing its own memory.
  package func copy(from other: MessageHead) {
    reset()
    version = other.version
    method = other.method
    methodBytes = other.methodBytes
    path = other.path
    authority = other.authority
    scheme = other.scheme
    connectProtocol = other.connectProtocol
    status = other.status
    fields.append(contentsOf: other.fields)
    if storeCapacity < other.storeCount {
      store.deallocate()
      store = UnsafeMutableRawPointer.allocate(byteCount: other.storeCapacity, alignment: 16)
      storeCapacity = other.storeCapacity
    }
    store.copyMemory(from: other.store, byteCount: other.storeCount)
    storeCount = other.storeCount
  }
}

/// Calls `body` with the decimal digits of `number`.
package func withDecimal<R>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
  withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
    var n = number.magnitude
    var i = 20
    repeat {
      i -= 1
      digits[i] = UInt8(0x30 + n % 10)
      n /= 10
    } while n > 0
    if number < 0 {
      i -= 1
      digits[i] = 0x2D
    }
    return body(UnsafeRawBufferPointer(rebasing: digits[i..<20]))
  }
}
