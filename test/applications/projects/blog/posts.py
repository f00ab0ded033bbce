import os, pymysql
db = pymysql.connect(host="db", user="app", password=os.environ["MARIADB_PASSWORD"], database=os.environ["MARIADB_DATABASE"])
with db.cursor() as rows:
    rows.execute("select title from posts")
    for (title,) in rows:
        print(title)
