from bottle import route, run


@route("/")
def index():
    return "from python\n"


run(host="0.0.0.0", port=8000)
