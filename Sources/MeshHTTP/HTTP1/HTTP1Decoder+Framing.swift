import MeshCore

/// What a complete head means for the bytes after it (RFC 9112, sections 6 and 9).
extension HTTP1Decoder {
  mutating func finishRequest(_ head: MessageHead) -> Event {
    target.store(in: head)
    if facts.hostField < 0 {
      if head.version != .http10 { return fail(.missingHost) }
    } else if target.form == .origin || target.form == .asterisk {
      head.authority = head.fields[facts.hostField].value
    } else {
      // RFC 9112, section 3.2.2: the target's authority replaces the Host field.
      head.removeField(at: facts.hostField)
    }
    var result = HTTP1Head()
    if facts.hasTransferEncoding {
      result.framing = .chunked
    } else if let length = facts.contentLength {
      result.framing = .length(length)
    }
    if head.method == .connect {
      guard result.framing.isEmpty else { return fail(.contentInConnect) }
      result.framing = .none
    }
    result.keepAlive = facts.keepAlive(head.version)
    result.expectsContinue = facts.expectsContinue && head.version != .http10 && !result.framing.isEmpty
    let upgrades = facts.connectionUpgrades && head.version != .http10
    // `h2c` beside another protocol must not go on with it: behind an intermediary it smuggles requests past that.
    result.isUpgrade = upgrades && facts.hasUpgrade && !facts.offersHTTP2
    result.offersHTTP2 = upgrades && facts.offersHTTP2 && facts.connectionListsSettings
    begin(result.framing)
    return .head(result)
  }

  mutating func finishResponse(_ head: MessageHead) -> Event {
    let status = head.status
    if (100...199).contains(status), status != 101 {
      informationalResponses &+= 1
      if informationalResponses > limits.maximumInformationalResponses { return fail(.tooManyInformationalResponses) }
      state = .startLine
      return .informational
    }
    var result = HTTP1Head()
    result.keepAlive = facts.keepAlive(head.version)
    result.isUpgrade =
      facts.connectionUpgrades && facts.hasUpgrade && !facts.offersHTTP2 && head.version != .http10
    if status == 101 || requestMethod == .connect && (200...299).contains(status) {
      result.framing = .tunnel
      result.keepAlive = false
    } else if requestMethod == .head || status == 304 {
      result.framing = .none
    } else if status == 204 {
      // Content that was announced anyway may follow: do not read it as the next response.
      if facts.hasTransferEncoding || (facts.contentLength ?? 0) > 0 { result.keepAlive = false }
    } else if facts.hasTransferEncoding {
      result.framing = .chunked
    } else if let length = facts.contentLength {
      result.framing = .length(length)
    } else {
      result.framing = .untilClose
      result.keepAlive = false
    }
    begin(result.framing)
    return .head(result)
  }

  private mutating func begin(_ framing: BodyFraming) {
    remaining = 0
    extensionBytes = 0
    switch framing {
    case .none, .length(0):
      state = .ending
    case .length(let length):
      remaining = length
      state = .content
    case .chunked:
      state = .chunkLine
    case .untilClose, .tunnel:
      state = .untilClose
    }
  }
}
